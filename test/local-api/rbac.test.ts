import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { Authorizer } from '../../src/local/api/rbac/authorizer.ts'
import type { Access, Binding, Role } from '../../src/local/api/rbac/policy.ts'
import { MERGE, RUNTIMES, SECRETS, SESSIONS, TestApi, runtime } from './api-kit.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const ROLES = `${RBAC}/namespaces/default/roles`
const BINDINGS = `${RBAC}/namespaces/default/rolebindings`
const CLUSTER_BINDINGS = `${RBAC}/clusterrolebindings`
const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
const INVOKE = {
  verb: 'create',
  group: 'carrel.dev',
  resource: 'agentruntimes',
  subresource: 'invocations',
  namespace: 'default',
  name: 'hello',
}

const invokers = {
  metadata: { name: 'invokers' },
  rules: [{ verbs: ['create'], apiGroups: ['carrel.dev'], resources: ['agentruntimes/invocations'] }],
}
const bound = (name: string, role: string, ...subjects: object[]): object => ({
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: role === 'invokers' ? 'Role' : 'ClusterRole', name: role },
  subjects,
})

async function review(api: TestApi, spec: object): Promise<{ allowed: boolean; reason?: string }> {
  return (await api.must('POST', REVIEWS, { spec }, { as: IDENTITIES.gateway })).status
}

test('a right counts from the moment of its binding until the moment it goes, and over a restart', async () => {
  const { MemoryPersistence } = await import('../../src/local/api/persistence.ts')
  const persistence = new MemoryPersistence()
  const api = await TestApi.start({ persistence })
  const alice = { user: 'alice', resourceAttributes: INVOKE }
  assert.deepEqual(await review(api, alice), { allowed: false })
  await api.must('POST', BINDINGS, bound('alice', 'invokers', { kind: 'User', name: 'alice' }))
  assert.match((await review(api, alice)).reason!, /role\.rbac\.authorization\.k8s\.io "invokers" not found/)
  await api.must('POST', ROLES, invokers)
  assert.equal((await review(api, alice)).reason, 'RBAC: allowed by RoleBinding "alice/default" of Role "invokers" to User "alice"')
  const next = await TestApi.start({ persistence })
  assert.equal((await review(next, alice)).allowed, true)
  await next.merge(`${BINDINGS}/alice`, { subjects: [{ kind: 'User', name: 'bob' }] })
  assert.equal((await review(next, alice)).allowed, false)
  assert.equal((await review(next, { ...alice, user: 'bob' })).allowed, true)
  await next.must('DELETE', `${BINDINGS}/alice`)
  assert.equal((await review(next, { ...alice, user: 'bob' })).allowed, false)
})

test('a namespace that goes takes its rights along', async () => {
  const api = await TestApi.start()
  await api.must('POST', '/api/v1/namespaces', { metadata: { name: 'team' } })
  await api.must('POST', `${RBAC}/namespaces/team/roles`, invokers)
  await api.must('POST', `${RBAC}/namespaces/team/rolebindings`, bound('alice', 'invokers', { kind: 'User', name: 'alice' }))
  const asked = { user: 'alice', resourceAttributes: { ...INVOKE, namespace: 'team' } }
  assert.equal((await review(api, asked)).allowed, true)
  await api.must('DELETE', '/api/v1/namespaces/team')
  await api.settle()
  assert.equal((await review(api, asked)).allowed, false)
})

test('a review of a part of the installation says what is fixed for it', async () => {
  const api = await TestApi.start()
  const admin = { user: IDENTITIES.admin.user, groups: IDENTITIES.admin.groups }
  const may = async (resourceAttributes: object, person: object = admin): Promise<boolean> =>
    (await review(api, { ...person, resourceAttributes })).allowed
  assert.equal(await may(INVOKE), true)
  assert.equal(await may({ ...INVOKE, subresource: 'status', verb: 'update' }), false)
  assert.equal(await may({ ...INVOKE, subresource: 'status', verb: 'update' }, { user: IDENTITIES.operator.user }), true)
  assert.equal(
    await may({ verb: 'list', group: '', resource: 'secrets', namespace: 'carrel-system' }, { user: IDENTITIES.gateway.user }),
    true,
  )
  assert.equal(await may({ verb: 'list', group: '', resource: 'secrets', namespace: 'default' }, { user: IDENTITIES.gateway.user }), false)
  const metrics = { verb: 'get', path: '/metrics' }
  assert.equal((await review(api, { ...admin, nonResourceAttributes: metrics })).allowed, true)
  assert.equal((await review(api, { user: 'alice', nonResourceAttributes: metrics })).allowed, false)
})

test('a status is the word of the operator whatever a role says', async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, runtime('hello'))
  const everybody = { kind: 'Group', name: 'system:authenticated' }
  await api.must('POST', CLUSTER_BINDINGS, bound('all', 'cluster-admin', everybody))
  const stranger = { user: 'stranger', groups: ['system:authenticated'], allows: () => false }
  await api.must('GET', SECRETS, undefined, { as: stranger })
  const patch = { status: { latestVersion: 7 } }
  for (const as of [stranger, IDENTITIES.admin, IDENTITIES.gateway]) {
    const refusal = await api.refused(403, 'Forbidden', 'PATCH', `${RUNTIMES}/hello/status`, patch, { as, contentType: MERGE })
    assert.match(refusal.message, /only the operator writes this status/)
    await api.refused(403, 'Forbidden', 'PUT', `${SESSIONS}/s/status`, {}, { as })
  }
  assert.equal((await api.status(`${RUNTIMES}/hello`, { latestVersion: 1 })).status.latestVersion, 1)
})

test('only an administrator of the installation gives away rights that it does not name one by one', async () => {
  const api = await TestApi.start()
  await api.must('POST', ROLES, {
    metadata: { name: 'writers' },
    rules: [{ verbs: ['*'], apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'] }],
  })
  await api.must('POST', BINDINGS, {
    ...bound('writer', 'writers', { kind: 'User', name: 'writer' }),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'writers' },
  })
  const writer = { user: 'writer', groups: ['system:authenticated'], allows: () => false }
  const all = bound('all', 'cluster-admin', { kind: 'User', name: 'writer' })
  const refusal = await api.refused(403, 'Forbidden', 'POST', BINDINGS, all, { as: writer })
  assert.match(
    refusal.message,
    /user "writer" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held/,
  )
  assert.equal((await api.names(BINDINGS)).includes('all'), false)
  await api.must('POST', BINDINGS, all)
})

test('among 1,000 bindings a question is answered in well under a millisecond', () => {
  const role = (name: string): Role => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace: 'default' },
    rules: Array.from({ length: 5 }, () => ({ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'secrets'] })),
  })
  const authorizer = new Authorizer({ get: ({ name }) => role(name) }, [])
  for (let index = 0; index < 1_000; index += 1) {
    const subjects = [
      { kind: 'User', name: `user-${index}` },
      { kind: 'Group', name: `group-${index % 10}` },
    ]
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' }
    const object: Binding = {
      apiVersion: 'v1',
      kind: 'RoleBinding',
      metadata: { name: `b-${index}`, namespace: 'default' },
      roleRef,
      subjects,
    }
    authorizer.noticed({ collection: 'rbac.authorization.k8s.io/rolebindings', type: 'ADDED', object })
  }
  const asked: Access = { verb: 'create', group: 'carrel.dev', resource: 'agentruntimes', namespace: 'default' }
  const person = { user: 'user-7', groups: ['group-1', 'group-2'] }
  for (let round = 0; round < 100; round += 1) authorizer.decide(person, asked)
  const tookMs: number[] = []
  for (let round = 0; round < 200; round += 1) {
    const beganMs = performance.now()
    assert.equal(authorizer.decide(person, asked).allowed, false)
    tookMs.push(performance.now() - beganMs)
  }
  const medianMs = tookMs.toSorted((a, b) => a - b)[100]!
  assert.ok(medianMs < 1, `${medianMs.toFixed(3)} ms`)
})
