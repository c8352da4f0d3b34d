import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Identity } from '../../src/local/api/call.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import {
  CONFIG_MAPS,
  MERGE,
  NAMESPACES,
  PODS,
  REVISIONS,
  RUNTIMES,
  SECRETS,
  SESSIONS,
  TestApi,
  configMap,
  ownedBy,
  pod,
  runtime,
  secret,
} from './api-kit.ts'

const SYSTEM_SECRETS = '/api/v1/namespaces/carrel-system/secrets'
const RUNTIME_STATUS = `${RUNTIMES}/hello/status`
const SESSION_STATUS = `${SESSIONS}/s/status`

/** Each row: a request, and who may make it. */
const ROWS: [method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, who: string][] = [
  ['GET', RUNTIMES, 'admin operator gateway'],
  ['POST', RUNTIMES, 'admin'],
  ['PATCH', `${RUNTIMES}/hello`, 'admin'],
  ['DELETE', `${RUNTIMES}/hello`, 'admin'],
  ['PATCH', RUNTIME_STATUS, 'operator'],
  ['PUT', RUNTIME_STATUS, 'operator'],
  ['GET', SESSIONS, 'admin operator gateway'],
  ['POST', SESSIONS, 'admin gateway'],
  ['PATCH', `${SESSIONS}/s`, 'admin operator gateway'],
  ['DELETE', `${SESSIONS}/s`, 'admin operator'],
  ['DELETE', SESSIONS, 'admin'],
  ['PATCH', SESSION_STATUS, 'operator'],
  ['PUT', SESSION_STATUS, 'operator'],
  ['GET', PODS, 'admin operator gateway kubelet'],
  ['POST', PODS, 'admin operator'],
  ['PATCH', `${PODS}/p`, 'admin'],
  ['DELETE', `${PODS}/p`, 'admin operator kubelet'],
  ['PATCH', `${PODS}/p/status`, 'admin kubelet'],
  ['POST', `${PODS}/p/binding`, 'admin kubelet'],
  ['GET', `${PODS}/p/log`, 'admin operator'],
  ['GET', SECRETS, 'admin'],
  ['GET', `${SECRETS}/key`, 'admin kubelet'],
  ['GET', SYSTEM_SECRETS, 'admin gateway'],
  ['GET', '/api/v1/secrets', 'admin'],
  ['POST', SYSTEM_SECRETS, 'admin'],
  ['GET', `${CONFIG_MAPS}/c`, 'admin kubelet'],
  ['POST', REVISIONS, 'admin operator'],
  ['PATCH', `${REVISIONS}/r`, 'admin'],
  ['POST', NAMESPACES, 'admin'],
  ['POST', '/apis/authentication.k8s.io/v1/tokenreviews', 'admin operator gateway'],
  ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', 'admin operator gateway'],
  ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'admin operator gateway kubelet'],
  ['POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', 'admin operator gateway kubelet'],
  ['POST', '/api/v1/namespaces/default/serviceaccounts/default/token', 'admin'],
  ['POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles', 'admin'],
  ['GET', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', 'admin'],
  ['POST', '/apis/events.k8s.io/v1/namespaces/default/events', 'admin operator gateway kubelet'],
  ['GET', '/api/v1/namespaces/default/events', 'admin'],
]

test('each identity may do what its part needs, and nothing else', async () => {
  const api = await TestApi.start()
  for (const [method, path, who] of ROWS) {
    for (const [name, identity] of Object.entries(IDENTITIES)) {
      const { status } = await probe(api, method, path, identity)
      assert.equal(status !== 403, who.split(' ').includes(name), `${name} ${method} ${path}: ${status}`)
    }
  }
})

/** With a body that no kind takes: what is allowed is refused later, and nothing changes. */
async function probe(api: TestApi, method: (typeof ROWS)[number][0], path: string, as: Identity): Promise<{ status: number }> {
  if (method === 'GET' && path.endsWith('/log'))
    return { status: (await api.api.handle({ identity: as, method, path, query: new URLSearchParams() })).status }
  return api.send(method, path, method === 'GET' || method === 'DELETE' ? undefined : { kind: 'Nothing' }, { as, contentType: MERGE })
}

test('a refusal says who may not do what, as the real server says it', async () => {
  const api = await TestApi.start()
  const as = IDENTITIES.gateway
  const one = await api.refused(403, 'Forbidden', 'DELETE', `${RUNTIMES}/hello`, undefined, { as })
  assert.equal(
    one.message,
    'agentruntimes.carrel.dev "hello" is forbidden: User "system:serviceaccount:carrel-system:gateway" cannot delete resource "agentruntimes" in API group "carrel.dev" in the namespace "default"',
  )
  assert.deepEqual(one.details, { name: 'hello', group: 'carrel.dev', kind: 'agentruntimes' })
  const all = await api.refused(403, 'Forbidden', 'GET', '/api/v1/secrets', undefined, { as })
  assert.equal(
    all.message,
    'secrets is forbidden: User "system:serviceaccount:carrel-system:gateway" cannot list resource "secrets" in API group "" at the cluster scope',
  )
  const sub = await api.refused(403, 'Forbidden', 'PATCH', `${PODS}/p/status`, {}, { as, contentType: MERGE })
  assert.match(sub.message, /cannot patch resource "pods\/status" in API group ""/)
  const watch = await api.refused(403, 'Forbidden', 'GET', SECRETS, undefined, { as, query: { watch: 'true' } })
  assert.match(watch.message, /cannot watch resource "secrets"/)
})

test('nobody but the operator writes a status, and a status sent with an object is dropped', async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, { ...runtime('hello'), status: { agentRuntimeId: 'stolen-0123456789' } })
  const patch = { status: { agentRuntimeId: 'stolen-0123456789' } }
  for (const as of [IDENTITIES.admin, IDENTITIES.gateway, IDENTITIES.kubelet]) {
    await api.refused(403, 'Forbidden', 'PATCH', RUNTIME_STATUS, patch, { as, contentType: MERGE })
    await api.refused(403, 'Forbidden', 'PUT', RUNTIME_STATUS, { ...runtime('hello'), ...patch }, { as })
  }
  await api.merge(`${RUNTIMES}/hello`, patch)
  assert.equal((await api.must('GET', `${RUNTIMES}/hello`)).status, undefined)
  assert.equal((await api.status(`${RUNTIMES}/hello`, { latestVersion: 1 })).status.latestVersion, 1)
})

test('the identity of a session, and the pod of an incarnation, are set once, for everybody', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', RUNTIMES, runtime('hello'))
  const spec = {
    runtimeRef: { name: 'hello', uid: owner.metadata.uid },
    endpoint: 'DEFAULT',
    sessionId: 's'.repeat(33),
    owner: { kind: 'k', issuer: 'i', subject: 's' },
    incarnation: 1,
  }
  const session = { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession', metadata: { name: 's', ...ownedBy(owner) }, spec }
  await api.must('POST', SESSIONS, session, { as: IDENTITIES.gateway })
  await api.status(`${SESSIONS}/s`, { incarnation: 1, phase: 'Running', podUID: 'one' })
  const operator = { as: IDENTITIES.operator, contentType: MERGE }
  await api.refused(422, 'Invalid', 'PATCH', SESSION_STATUS, { status: { podUID: 'two' } }, operator)
  await api.refused(422, 'Invalid', 'PATCH', `${SESSIONS}/s`, { spec: { owner: { subject: 'other' } } }, { contentType: MERGE })
  await api.refused(422, 'Invalid', 'PATCH', `${SESSIONS}/s`, { spec: { incarnation: 2 } }, { as: IDENTITIES.gateway, contentType: MERGE })
  await api.status(`${SESSIONS}/s`, { phase: 'Terminated' })
  await api.merge(`${SESSIONS}/s`, { spec: { incarnation: 2 } }, { as: IDENTITIES.gateway })
})

test('what one caller gets cannot change what the server holds', async () => {
  const api = await TestApi.start()
  await api.must('POST', SECRETS, secret('key', { a: 'YQ==' }))
  await api.must('POST', CONFIG_MAPS, configMap('c'))
  await api.must('POST', PODS, pod('p'))
  const sent = configMap('mine') as any
  await api.must('POST', CONFIG_MAPS, sent)
  sent.data.a = 'changed later'
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/mine`)).data.a, '1')
})
