/** Roles and bindings as objects: what is let in, what is filled in, what may change, what is shown. */
import assert from 'node:assert/strict'
import { CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, binding } from '../accounts.ts'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'

const rule = (more: object = {}): object => ({ verbs: ['get'], apiGroups: [''], resources: ['pods'], ...more })

conformance('roles', async (on) => {
  await on.make('roles', { metadata: { name: 'empty' } })
  await on.make('roles', { metadata: { name: 'Some:name' }, rules: [rule({ resourceNames: [], nonResourceURLs: [] })] })
  const made = await on.make('roles', { metadata: { name: 'a', labels: { a: 'b' } }, rules: [rule(), rule({ resourceNames: ['x'] })] })
  await on.call('PUT', on.at('roles', 'a'), { body: { ...made, rules: [] } })
  await on.call('PUT', on.at('roles', 'a'), { body: made })
  await on.call('PUT', on.at('roles', 'made-by-put'), { body: { metadata: { name: 'made-by-put' }, rules: [rule()] } })
  await on.call('PATCH', on.at('roles', 'a'), { body: { rules: [rule({ verbs: ['list'] })] } })
  await on.call('PATCH', on.at('roles', 'a'), { body: { rules: null } })
  await on.call('GET', on.at('roles'))
  await on.call('DELETE', on.at('roles', 'a'))
  const wrong: object[] = [
    { metadata: { name: 'b' }, rules: [{}] },
    { metadata: { name: 'a/b%' }, rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
    { metadata: { name: '..' }, rules: [rule({ verbs: [] }), rule({ apiGroups: [] }), rule({ resources: [] }), rule({ verbs: null })] },
    { metadata: { name: '' }, rules: [] },
    { metadata: {}, rules: [rule({ nonResourceURLs: ['/x'] })] },
    { metadata: { generateName: 'b-' }, rules: [rule({ verbs: ['*', ''], resourceNames: [''] })] },
  ]
  for (const body of wrong.slice(0, -1)) assert.equal((await on.call('POST', on.at('roles'), { body })).status, 422)
  for (const rules of [[{ verbs: 'get' }], 'x', [7], [{ verbs: [1] }]])
    assert.equal((await on.call('POST', on.at('roles'), { body: { metadata: { name: 'b' }, rules }, ...WORDS })).status, 400)
})

conformance('cluster roles', async (on) => {
  const name = `${on.namespace}-role`
  await on.call('POST', CLUSTER_ROLES, { body: { metadata: { name }, rules: [rule(), { verbs: ['get'], nonResourceURLs: ['/x/*'] }] } })
  await on.call('PATCH', `${CLUSTER_ROLES}/${name}`, { body: { rules: [{ verbs: ['get'], nonResourceURLs: ['*'] }] } })
  for (const body of [
    { metadata: { name: `${name}-2` }, rules: [rule({ nonResourceURLs: ['/x'] })] },
    { metadata: { name: `${name}-2` }, rules: [{ verbs: [], nonResourceURLs: ['/x'] }] },
    { metadata: { name: `${name}-2` }, aggregationRule: { clusterRoleSelectors: [] } },
    { metadata: { name: `${name}-2` }, aggregationRule: {} },
  ])
    assert.equal((await on.call('POST', CLUSTER_ROLES, { body })).status, 422)
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
  await on.call('POST', CLUSTER_ROLES, { body: { metadata: { name: `${name}-of-roles` }, aggregationRule } })
  for (const each of [name, `${name}-of-roles`]) await on.call('DELETE', `${CLUSTER_ROLES}/${each}`)
})

conformance('bindings', async (on) => {
  const subjects = [
    { kind: 'User', name: 'u' },
    { kind: 'Group', name: 'g' },
    { kind: 'ServiceAccount', name: 'sa' },
  ]
  await on.make('rolebindings', { metadata: { name: 'plain' }, roleRef: { kind: 'Role', name: 'none' }, subjects })
  await on.make('rolebindings', { metadata: { name: 'nobody' }, roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [] })
  const made = await on.make('rolebindings', binding('a', { kind: 'Role', name: 'none' }, subjects))
  await on.call('PUT', on.at('rolebindings', 'a'), { body: { ...made, subjects: subjects.slice(1) } })
  for (const roleRef of [{ name: 'other' }, { kind: 'ClusterRole' }, { name: '' }, { apiGroup: 'x' }, null])
    assert.equal((await on.call('PATCH', on.at('rolebindings', 'a'), { body: { roleRef } })).status, 422)
  await on.call('PATCH', on.at('rolebindings', 'a'), { body: { roleRef: { name: 'other' }, subjects: [{ kind: 'User' }] } })
  await on.call('PATCH', on.at('rolebindings', 'a'), { body: { subjects: null } })
  await on.call('DELETE', on.at('rolebindings', 'a'))
  const wrong: object[] = [
    { metadata: { name: 'b' } },
    { metadata: { name: 'b' }, roleRef: { kind: 'X', apiGroup: 'y', name: 'z/' } },
    binding('b', { kind: 'Role', name: '..' }, [{}, { kind: 'User' }, { kind: 'Z', name: 'z' }]),
    binding('b', { kind: 'Role', name: 'x' }, [
      { kind: 'ServiceAccount', name: 'A', apiGroup: 'x' },
      { kind: 'Group', name: 'g', apiGroup: 'x' },
      { kind: 'ServiceAccount', apiGroup: '', namespace: 'x' },
    ]),
    { metadata: { name: 'b' }, subjects: [{ kind: 'User' }] },
  ]
  for (const body of wrong) assert.equal((await on.call('POST', on.at('rolebindings'), { body })).status, 422)
  for (const body of [{ roleRef: 'x' }, { roleRef: { name: 7 } }, { subjects: 'x' }, { subjects: [{ name: 7 }] }])
    await on.call('POST', on.at('rolebindings'), { body: { metadata: { name: 'b' }, ...body }, ...WORDS })
})

conformance('cluster role bindings', async (on) => {
  const name = `${on.namespace}-binding`
  const sa = { kind: 'ServiceAccount', name: 'sa' }
  const roleRef = { kind: 'ClusterRole', name: 'none' }
  await on.call('POST', CLUSTER_ROLE_BINDINGS, { body: binding(name, roleRef, [{ ...sa, namespace: on.namespace }]) })
  assert.equal((await on.call('PATCH', `${CLUSTER_ROLE_BINDINGS}/${name}`, { body: { roleRef: { name: 'view' } } })).status, 422)
  for (const body of [binding(`${name}-2`, { kind: 'Role', name: 'x' }, [sa]), binding(`${name}-2`, roleRef, [sa])])
    assert.equal((await on.call('POST', CLUSTER_ROLE_BINDINGS, { body })).status, 422)
  await on.call('DELETE', `${CLUSTER_ROLE_BINDINGS}/${name}`)
})

conformance('what every server begins with', async (on) => {
  for (const name of [
    'cluster-admin',
    'system:discovery',
    'system:basic-user',
    'system:public-info-viewer',
    'system:service-account-issuer-discovery',
  ]) {
    for (const path of [CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS]) await on.call('GET', `${path}/${name}`)
  }
  for (const name of ['view', 'edit', 'admin'])
    await on.call('GET', `${CLUSTER_ROLES}/${name}`, {
      differs: 'roles-of-carrel',
      differsAt: ['body.rules', 'body.aggregationRule', 'body.metadata.labels'],
    })
  await on.call('GET', `${CLUSTER_ROLES}/system:node`, { differs: 'roles-of-carrel' })
})

conformance('a namespace has a service account, which comes back', async (on) => {
  const path = on.at('serviceaccounts', 'default')
  const first = await on.until(path, ({ status }) => status === 200, 'it is there')
  await on.call('DELETE', path)
  await on.until(path, ({ status, body }) => status === 200 && body.metadata.uid !== first.body.metadata.uid, 'another is there')
})
