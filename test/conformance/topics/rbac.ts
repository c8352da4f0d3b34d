/** Who may do what, by roles and bindings, asked by SubjectAccessReview and met by requests. */
import assert from 'node:assert/strict'
import { ACCESS_REVIEWS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, allow, binding, settled, tokenOf } from '../accounts.ts'
import { conformance, type Stage } from '../conformance.ts'
import { configMap, pod, runtime } from '../objects.ts'

interface Asker {
  user?: string
  groups?: string[]
}

const user = (name: string): object => ({ kind: 'User', name })
const group = (name: string): object => ({ kind: 'Group', name })
const account = (name: string, namespace?: string): object => ({ kind: 'ServiceAccount', name, ...(namespace ? { namespace } : {}) })

const ROLES: Record<string, object[]> = {
  reader: [{ verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods', 'pods/log'] }],
  named: [{ verbs: ['get', 'update'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['a', 'b'] }],
  statuses: [{ verbs: ['update'], apiGroups: ['*'], resources: ['*/status'] }],
  invoker: [{ verbs: ['create'], apiGroups: ['carrel.dev'], resources: ['agentruntimes/invocations'], resourceNames: ['a'] }],
  'any-resource': [{ verbs: ['get'], apiGroups: ['carrel.dev'], resources: ['*'] }],
  'any-verb': [{ verbs: ['*'], apiGroups: ['carrel.dev'], resources: ['agentruntimes'] }],
  'two-rules': [
    { verbs: ['get'], apiGroups: ['apps'], resources: ['controllerrevisions'] },
    { verbs: ['create'], apiGroups: ['', 'carrel.dev'], resources: ['pods', 'agentruntimes'] },
  ],
}

async function makeRoles(on: Stage): Promise<() => Promise<void>> {
  const here = (name: string): string => `${on.namespace}:${name}`
  for (const [name, rules] of Object.entries(ROLES)) await on.make('roles', { metadata: { name }, rules })
  const paths = [{ verbs: ['get'], nonResourceURLs: ['/x', '/y/*'] }]
  const many = [{ verbs: ['list'], apiGroups: ['*'], resources: ['*'] }, ...paths]
  for (const [name, rules] of [['many', many]] as const)
    await on.ask('POST', CLUSTER_ROLES, { body: { metadata: { name: here(name) }, rules } })
  for (const [name, role, ...subjects] of [
    ['alice', 'reader', user('alice')],
    ['named', 'named', group('named')],
    ['statuses', 'statuses', account('sa')],
    ['invokers', 'invoker', user('other'), group('invokers'), user('ivan')],
    ['any', 'any-resource', account('sa', 'elsewhere')],
    ['verb', 'any-verb', user('vera')],
    ['two', 'two-rules', user('tom')],
    ['missing', 'none', user('dave')],
    ['as-text', 'reader', user('system:serviceaccount:elsewhere:text')],
  ] as const)
    await on.make('rolebindings', binding(name, { kind: 'Role', name: role }, [...subjects]))
  await on.make('rolebindings', binding('local', { kind: 'ClusterRole', name: here('many') }, [user('lena')]))
  await on.make('rolebindings', binding('none', { kind: 'ClusterRole', name: here('none') }, [user('nora')]))
  const everywhere = binding(here('all'), { kind: 'ClusterRole', name: here('many') }, [user('carol'), account('sa', 'elsewhere-too')])
  assert.equal((await on.ask('POST', CLUSTER_ROLE_BINDINGS, { body: everywhere })).status, 201)
  await settled(on)
  return async () => {
    await on.ask('DELETE', `${CLUSTER_ROLE_BINDINGS}/${here('all')}`)
    await on.ask('DELETE', `${CLUSTER_ROLES}/${here('many')}`)
  }
}

conformance('who may do what', async (on) => {
  const clear = await makeRoles(on)
  const askers: Asker[] = [
    { user: 'alice' },
    { user: 'x', groups: ['named', 'more'] },
    { groups: ['named'] },
    { user: `system:serviceaccount:${on.namespace}:sa`, groups: ['system:serviceaccounts'] },
    { user: 'ivan' },
    { user: 'ivan', groups: ['invokers'] },
    { user: 'system:serviceaccount:elsewhere:sa' },
    { user: 'system:serviceaccount:elsewhere:text' },
    { user: 'system:serviceaccount:elsewhere-too:sa' },
    { user: 'vera' },
    { user: 'tom' },
    { user: 'dave' },
    { user: 'lena' },
    { user: 'nora' },
    { user: 'carol' },
    { user: 'ALICE', groups: ['alice'] },
    { user: 'root', groups: ['system:masters'] },
    { user: 'someone', groups: ['system:authenticated'] },
  ]
  const own = on.namespace
  const resource = (verb: string, group: string, name: string, more: object = {}): object => ({
    resourceAttributes: { verb, group, resource: name, namespace: own, ...more },
  })
  const asked: object[] = [
    resource('get', '', 'pods'),
    resource('get', '', 'pods', { name: 'p' }),
    resource('list', '', 'pods', { namespace: 'elsewhere' }),
    resource('list', '', 'pods', { namespace: '' }),
    resource('get', '', 'pods', { subresource: 'log' }),
    resource('get', '', 'pods', { subresource: 'exec' }),
    resource('update', '', 'configmaps', { name: 'a' }),
    resource('update', '', 'configmaps', { name: 'c' }),
    resource('update', '', 'configmaps'),
    resource('update', 'carrel.dev', 'agentruntimes', { subresource: 'status', name: 'a' }),
    resource('update', 'carrel.dev', 'agentruntimes', { name: 'a' }),
    resource('create', 'carrel.dev', 'agentruntimes', { subresource: 'invocations', name: 'a' }),
    resource('create', 'carrel.dev', 'agentruntimes', { subresource: 'invocations', name: 'b' }),
    resource('create', 'carrel.dev', 'agentruntimes', { subresource: 'invocations' }),
    resource('get', 'carrel.dev', 'agentsessions', { subresource: 'status' }),
    resource('*', '*', '*'),
    resource('create', '', 'agentruntimes'),
    { nonResourceAttributes: { verb: 'get', path: '/x' } },
    { nonResourceAttributes: { verb: 'get', path: '/y/' } },
    { nonResourceAttributes: { verb: 'get', path: '/y' } },
    { nonResourceAttributes: { verb: 'post', path: '/x' } },
    { nonResourceAttributes: { verb: 'get', path: '/api' } },
  ]
  const answers = await Promise.all(
    askers.flatMap((asker) =>
      asked.map(async (question) => {
        const { status, body } = await on.ask('POST', ACCESS_REVIEWS, { body: { spec: { ...asker, ...question } } })
        assert.equal(status, 201, JSON.stringify(body))
        return { title: `review ${JSON.stringify({ ...asker, ...question })}`, status: body.status as { allowed: boolean } }
      }),
    ),
  )
  for (const { title, status } of answers) on.record(title, status)
  const allowed = answers.filter(({ status }) => status.allowed).length
  assert.ok(allowed > 30 && allowed < answers.length - 30, `${allowed} of ${answers.length} were allowed`)
  await clear()
})

conformance('requests of a service account', async (on) => {
  const token = await tokenOf(on, 'caller')
  const sent = (more: object = {}): object => ({ token, ...more })
  await on.make('pods', pod('p'))
  await on.make('agentruntimes', runtime('a'))
  for (const name of ['mine', 'other']) await on.make('configmaps', configMap(name))
  for (const path of [on.at('pods'), on.at('pods', 'p'), '/api/v1/pods', '/api/v1/nodes', `/api/v1/namespaces/${on.namespace}`])
    assert.equal((await on.call('GET', path, sent())).status, 403)
  assert.equal((await on.call('POST', on.at('configmaps'), sent({ body: configMap('new') }))).status, 403)
  assert.equal((await on.refusedWatch(on.at('pods'), {}, {}, token)).status, 403)
  await allow(on, 'caller', [
    { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods', 'namespaces'] },
    { verbs: ['*'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'] },
    { verbs: ['update', 'patch'], apiGroups: ['carrel.dev'], resources: ['agentruntimes'] },
  ])
  for (const path of [on.at('pods', 'p'), `/api/v1/namespaces/${on.namespace}`, on.at('configmaps', 'mine')])
    assert.equal((await on.call('GET', path, sent())).status, 200)
  assert.equal((await on.ask('GET', on.at('pods'), sent())).status, 200)
  const watch = await on.watch(on.at('pods'), {}, undefined, token)
  assert.equal((await watch.take(1)).length, 1)
  for (const path of [
    '/api/v1/pods',
    '/api/v1/namespaces/default/pods',
    on.at('configmaps', 'other'),
    on.at('configmaps'),
    '/api/v1/namespaces',
  ])
    assert.equal((await on.call('GET', path, sent())).status, 403)
  const select = { query: { fieldSelector: 'metadata.name=mine' } }
  assert.equal((await on.ask('GET', on.at('configmaps'), sent(select))).status, 200)
  assert.equal((await on.call('GET', on.at('configmaps'), sent({ query: { fieldSelector: 'metadata.name=other' } }))).status, 403)
  await on.call('PATCH', on.at('agentruntimes', 'a'), sent({ body: { spec: { startTimeoutSeconds: 7 } } }))
  assert.equal((await on.call('PATCH', on.at('agentruntimes', 'a', 'status'), sent({ body: { status: {} } }))).status, 403)
  assert.equal((await on.call('DELETE', on.at('agentruntimes', 'a'), sent())).status, 403)
  assert.equal((await on.call('GET', on.at('pods', 'p', 'log'), sent())).status, 403)
  await on.call('DELETE', on.at('configmaps', 'mine'), sent())
  assert.equal((await on.call('POST', ACCESS_REVIEWS, sent({ body: { spec: {} } }))).status, 403)
})
