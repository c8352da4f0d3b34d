/** Nobody gives away what it does not have: who writes roles and bindings, and what they may hold. */
import assert from 'node:assert/strict'
import { CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, allow, binding, settled, tokenOf } from '../accounts.ts'
import { conformance } from '../conformance.ts'

const RBAC = 'rbac.authorization.k8s.io'
const writing = (verbs: string[]): object => ({ verbs, apiGroups: [RBAC], resources: ['roles', 'rolebindings'] })
const reading = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }

conformance('a role holds only what its writer holds', async (on) => {
  const token = await tokenOf(on, 'writer')
  await allow(on, 'writer', [
    writing(['create', 'update', 'patch', 'get']),
    reading,
    { verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['a', 'b'] },
    { verbs: ['update'], apiGroups: ['*'], resources: ['*/status'] },
    { verbs: ['*'], apiGroups: ['carrel.dev'], resources: ['agentruntimes'] },
  ])
  const tried = async (rules: object[], status: number): Promise<void> => {
    const { body, status: got } = await on.call('POST', on.at('roles'), {
      token,
      query: { dryRun: 'All' },
      body: { metadata: { name: 'r' }, rules },
    })
    assert.equal(got, status, JSON.stringify(body))
  }
  await tried([], 201)
  await tried([reading], 201)
  await tried([{ ...reading, resourceNames: ['x'] }], 201)
  await tried([{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['a'] }], 201)
  await tried([{ verbs: ['update'], apiGroups: ['apps'], resources: ['deployments/status'] }], 201)
  await tried([{ verbs: ['delete', 'x'], apiGroups: ['carrel.dev'], resources: ['agentruntimes'] }], 201)
  await tried([{ ...reading, verbs: ['get', 'delete', 'watch'] }], 403)
  await tried(
    [
      { ...reading, verbs: ['delete'], resources: ['pods', 'secrets'], apiGroups: ['', 'apps'] },
      { ...reading, verbs: ['watch'] },
    ],
    403,
  )
  await tried([{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['a', 'c'] }], 403)
  await tried([{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'] }], 403)
  await tried([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], 403)
  await tried([{ verbs: ['update'], apiGroups: ['apps'], resources: ['deployments', 'status'] }], 403)
  await tried([{ verbs: ['get'], nonResourceURLs: ['/x'] }], 403)
  await tried([{}], 422)

  await on.make('roles', { metadata: { name: 'strong' }, rules: [{ verbs: ['*'], apiGroups: [''], resources: ['secrets'] }] })
  const patched = (body: object): Promise<unknown> => on.call('PATCH', on.at('roles', 'strong'), { token, body })
  await patched({ metadata: { labels: { a: 'b' } } })
  await patched({ metadata: { finalizers: [] } })
  await patched({ rules: [reading] })
  await patched({ rules: [{ ...reading, verbs: ['create'] }] })
  await on.call('PUT', on.at('roles', 'fresh'), {
    token,
    body: { metadata: { name: 'fresh' }, rules: [{ ...reading, verbs: ['create'] }] },
  })
  assert.equal((await on.call('POST', CLUSTER_ROLES, { token, body: { metadata: { name: `${on.namespace}-x` }, rules: [] } })).status, 403)
})

conformance('a role is bound only by who holds what is in it', async (on) => {
  const token = await tokenOf(on, 'binder')
  await on.make('roles', { metadata: { name: 'weak' }, rules: [reading] })
  await on.make('roles', { metadata: { name: 'strong' }, rules: [{ verbs: ['*'], apiGroups: [''], resources: ['secrets'] }] })
  await allow(on, 'binder', [writing(['create', 'patch']), reading])
  const me = [{ kind: 'ServiceAccount', name: 'binder' }]
  const bound = async (name: string, roleRef: { kind: string; name: string }, status: number): Promise<void> => {
    const { body, status: got } = await on.call('POST', on.at('rolebindings'), { token, body: binding(name, roleRef, me) })
    assert.equal(got, status, JSON.stringify(body))
  }
  await bound('weak', { kind: 'Role', name: 'weak' }, 201)
  await bound('strong', { kind: 'Role', name: 'strong' }, 403)
  await bound('all', { kind: 'ClusterRole', name: 'cluster-admin' }, 403)
  await bound('none', { kind: 'Role', name: 'none' }, 404)
  await bound('none', { kind: 'ClusterRole', name: `${on.namespace}-none` }, 404)
  await on.make('rolebindings', binding('given', { kind: 'Role', name: 'strong' }, []))
  await on.call('PATCH', on.at('rolebindings', 'given'), { token, body: { subjects: me } })
  await on.call('PATCH', on.at('rolebindings', 'given'), { token, body: { metadata: { labels: { a: 'b' } } } })
  const query = { dryRun: 'All' }
  const everywhere = binding(`${on.namespace}-x`, { kind: 'ClusterRole', name: 'view' }, me)
  assert.equal((await on.call('POST', CLUSTER_ROLE_BINDINGS, { token, query, body: everywhere })).status, 403)
})

conformance('escalate and bind are rights of their own', async (on) => {
  const token = await tokenOf(on, 'trusted')
  await allow(on, 'trusted', [
    writing(['create', 'update', 'patch']),
    { verbs: ['escalate'], apiGroups: [RBAC], resources: ['roles'] },
    { verbs: ['bind'], apiGroups: [RBAC], resources: ['clusterroles'], resourceNames: ['cluster-admin'] },
  ])
  const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
  const me = [{ kind: 'ServiceAccount', name: 'trusted' }]
  await on.call('POST', on.at('roles'), { token, body: { metadata: { name: 'any' }, rules } })
  await settled(on)
  const query = { dryRun: 'All' }
  assert.equal(
    (await on.call('POST', on.at('rolebindings'), { token, query, body: binding('any', { kind: 'Role', name: 'any' }, me) })).status,
    403,
  )
  const all = binding('all', { kind: 'ClusterRole', name: 'cluster-admin' }, me)
  assert.equal((await on.call('POST', on.at('rolebindings'), { token, body: all })).status, 201)
  await settled(on)
  assert.equal((await on.ask('GET', on.at('secrets'), { token })).status, 200)
})

conformance('who says of which roles a role is made needs every right', async (on) => {
  const token = await tokenOf(on, 'maker')
  const name = `${on.namespace}-maker`
  const rules = [{ verbs: ['create'], apiGroups: [RBAC], resources: ['clusterroles'] }]
  await on.ask('POST', CLUSTER_ROLES, { body: { metadata: { name }, rules } })
  const mine = [{ kind: 'ServiceAccount', name: 'maker', namespace: on.namespace }]
  await on.ask('POST', CLUSTER_ROLE_BINDINGS, { body: binding(name, { kind: 'ClusterRole', name }, mine) })
  await settled(on)
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
  const body = { metadata: { name: `${name}-2` }, aggregationRule }
  assert.equal((await on.call('POST', CLUSTER_ROLES, { token, body })).status, 403)
  await on.call('POST', CLUSTER_ROLES, { token, query: { dryRun: 'All' }, body: { metadata: { name: `${name}-2` }, rules } })
  await on.ask('DELETE', `${CLUSTER_ROLE_BINDINGS}/${name}`)
  await on.ask('DELETE', `${CLUSTER_ROLES}/${name}`)
})
