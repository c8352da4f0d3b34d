import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Identity } from '../../src/local/api/call.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { PODS, TestApi } from './api-kit.ts'

const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts'
const TOKENS = '/apis/authentication.k8s.io/v1/tokenreviews'
const ISSUER = 'https://kubernetes.default.svc'

async function tokenOf(api: TestApi, account: string, spec: object = {}): Promise<string> {
  return (await api.must('POST', `${ACCOUNTS}/${account}/token`, { spec })).status.token
}

/** As the gateway asks it: for its own audience, or for the server's. */
async function review(api: TestApi, token: string, audiences?: string[]): Promise<any> {
  const spec = { token, ...(audiences ? { audiences } : {}) }
  return (await api.must('POST', TOKENS, { spec }, { as: IDENTITIES.gateway })).status
}

test('a token is good until its time is over, and no second longer', async () => {
  const api = await TestApi.start()
  const token = await tokenOf(api, 'default', { expirationSeconds: 600 })
  assert.equal((await review(api, token)).authenticated, true)
  assert.equal(api.api.identify(token)?.user, 'system:serviceaccount:default:default')
  await api.clock.run(api.clock.monotonic() + 598_000)
  assert.equal((await review(api, token)).authenticated, true)
  await api.clock.run(api.clock.monotonic() + 3_000)
  assert.deepEqual(await review(api, token), { user: {}, error: '[invalid bearer token, service account token has expired]' })
  assert.equal(api.api.identify(token), undefined)
})

test('a token outlives the process that signed it', async () => {
  const persistence = new MemoryPersistence()
  const token = await tokenOf(await TestApi.start({ persistence }), 'default')
  const next = await TestApi.start({ persistence })
  assert.equal((await review(next, token)).authenticated, true)
  const stranger = await TestApi.start()
  assert.deepEqual(await review(stranger, token), { user: {}, error: 'invalid bearer token' })
  await tokenOf(stranger, 'default')
  assert.match((await review(stranger, token)).error, /error in cryptographic primitive/)
})

test('the key of the tokens is no object of any path, list or watch', async () => {
  const api = await TestApi.start()
  await tokenOf(api, 'default')
  for (const path of ['/apis/local/v1/token-keys', '/apis/local/v1', '/local/token-keys']) await api.refused(404, 'NotFound', 'GET', path)
  for (const kind of api.api.kinds.filter(({ isReview }) => !isReview)) {
    const path = kind.group === '' ? `/api/${kind.version}/${kind.plural}` : `/apis/${kind.group}/${kind.version}/${kind.plural}`
    assert.equal(JSON.stringify(await api.must('GET', path)).includes('PRIVATE KEY'), false, path)
  }
  const { keys } = await api.must('GET', '/openid/v1/jwks')
  assert.deepEqual(Object.keys(keys[0]).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

test("tokens of the installation's parts are recognised for the server's own audience alone", async () => {
  const api = await TestApi.start()
  const tokens = new Map<string, Identity>([['token-of-the-operator', IDENTITIES.operator]])
  api.api.served({ url: 'https://127.0.0.1:1', tokens })
  const { user, audiences, authenticated } = await review(api, 'token-of-the-operator')
  assert.deepEqual([user.username, audiences, authenticated], [IDENTITIES.operator.user, [ISSUER], true])
  assert.equal((await review(api, 'token-of-the-operator', ['carrel'])).authenticated, undefined)
  assert.equal((await review(api, 'token-of-the-operator', ['carrel', ISSUER])).authenticated, true)
  assert.equal((await review(api, 'token-of-the-operatos')).authenticated, undefined)
  assert.equal((await api.must('GET', '/.well-known/openid-configuration')).jwks_uri, 'https://127.0.0.1:1/openid/v1/jwks')
})

test("only those who may read a bound pod's account get a token for it, and it says on which node the pod runs", async () => {
  const api = await TestApi.start()
  const spec = { containers: [{ name: 'agent', image: 'a' }], nodeName: 'laptop' }
  const pod = await api.must('POST', PODS, { metadata: { name: 'p' }, spec })
  await api.must('POST', '/api/v1/nodes', { metadata: { name: 'laptop' } }, { as: IDENTITIES.kubelet })
  const token = await tokenOf(api, 'default', { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } })
  const { extra } = (await review(api, token)).user
  assert.deepEqual(extra['authentication.kubernetes.io/pod-uid'], [pod.metadata.uid])
  assert.deepEqual(extra['authentication.kubernetes.io/node-name'], ['laptop'])
  await api.must('POST', ACCOUNTS, { metadata: { name: 'other' } })
  await api.refused(400, 'BadRequest', 'POST', `${ACCOUNTS}/other/token`, {
    spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } },
  })
  for (const as of [IDENTITIES.operator, IDENTITIES.gateway, IDENTITIES.kubelet])
    await api.refused(403, 'Forbidden', 'POST', `${ACCOUNTS}/default/token`, { spec: {} }, { as })
})

test('each namespace has its account, also one that an older version made', async () => {
  const api = await TestApi.start()
  assert.deepEqual(await api.names('/api/v1/namespaces/carrel-system/serviceaccounts'), ['default'])
  await api.must('POST', '/api/v1/namespaces', { metadata: { name: 'team' } })
  await api.settle()
  assert.deepEqual(await api.names('/api/v1/namespaces/team/serviceaccounts'), ['default'])
  await api.must('DELETE', '/api/v1/namespaces/team/serviceaccounts/default')
  await api.settle()
  assert.deepEqual(await api.names('/api/v1/namespaces/team/serviceaccounts'), ['default'])
  await api.must('DELETE', '/api/v1/namespaces/team')
  await api.settle()
  await api.refused(404, 'NotFound', 'GET', '/api/v1/namespaces/team')
})
