import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TOKEN, open, serve } from './served.ts'

const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts'
const PODS = '/api/v1/namespaces/default/pods'
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'

test("a service account's token is a way in, with the rights of its roles, as long as the account is there", async (t) => {
  const { send, server, audit } = await serve(t)
  const { token } = (await send('POST', `${ACCOUNTS}/default/token`, { body: { spec: {} } })).json.status
  const refused = await send('GET', PODS, { token })
  assert.equal(refused.status, 403)
  assert.match(refused.json.message, /User "system:serviceaccount:default:default" cannot list resource "pods"/)
  const rules = [{ verbs: ['list', 'watch'], apiGroups: [''], resources: ['pods'] }]
  assert.equal((await send('POST', `${RBAC}/roles`, { body: { metadata: { name: 'r' }, rules } })).status, 201)
  const subjects = [{ kind: 'ServiceAccount', name: 'default' }]
  const binding = { metadata: { name: 'r' }, roleRef: { kind: 'Role', name: 'r' }, subjects }
  assert.equal((await send('POST', `${RBAC}/rolebindings`, { body: binding })).status, 201)
  assert.equal((await send('GET', PODS, { token })).status, 200)
  const watch = await open(server, 'GET', `${PODS}?watch=true`, { token })
  assert.equal(watch.statusCode, 200)
  watch.destroy()
  assert.equal((await send('GET', '/api/v1/pods', { token })).status, 403, 'its namespace alone')
  assert.equal((await send('GET', '/apis', { token })).status, 200, 'discovery is for everybody')
  await send('DELETE', `${ACCOUNTS}/default`)
  assert.equal((await send('GET', PODS, { token })).status, 401)
  assert.ok(
    audit.some(({ user, responseStatus }) => user.username === 'system:serviceaccount:default:default' && responseStatus.code === 200),
  )
})

test('no token is in the audit log, whether asked for, reviewed or presented', async (t) => {
  const { send, audit } = await serve(t)
  const { token } = (await send('POST', `${ACCOUNTS}/default/token`, { body: { spec: {} } })).json.status
  await send('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body: { spec: { token } } })
  await send('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { body: { spec: { token: TOKEN } } })
  await send('GET', PODS, { token })
  const text = JSON.stringify(audit)
  for (const secret of [token, token.split('.')[2], TOKEN]) assert.equal(text.includes(secret), false)
})

test("the server's address is in the discovery of its tokens' issuer", async (t) => {
  const { send, server } = await serve(t)
  const { status, json, headers } = await send('GET', '/.well-known/openid-configuration')
  assert.deepEqual([status, json.jwks_uri, headers['content-type']], [200, `${server.url}/openid/v1/jwks`, 'application/json'])
  assert.equal((await send('GET', '/openid/v1/jwks')).headers['content-type'], 'application/jwk-set+json')
  assert.equal((await send('GET', '/openid/v1/jwks', { token: '' })).status, 401)
})

test('the administrator may act as another, who then has its own rights alone; nobody else may', async (t) => {
  const { send, audit } = await serve(t)
  const headers = { 'impersonate-user': 'alice' }
  assert.equal((await send('GET', PODS, { headers })).status, 403)
  assert.deepEqual([audit.at(-1)!.user.username, audit.at(-1)!.impersonatedUser?.username], ['carrel-admin', 'alice'])
  const refused = await send('GET', PODS, { headers, token: 'gateway-token-of-the-test' })
  assert.deepEqual([refused.status, refused.json.details], [403, { name: 'alice', kind: 'users' }])
  const secrets = await send('GET', '/api/v1/secrets', { headers: { 'impersonate-extra-scopes': 'x', ...headers } })
  assert.equal(secrets.status, 400, 'what is not served is not overlooked')
})
