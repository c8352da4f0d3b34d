import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TOKEN, open, readAll, serve } from './served.ts'

const SECRETS = '/api/v1/namespaces/default/secrets'

test('only the loopback names with the port are hosts of this server', async (t) => {
  const { raw, server, audit } = await serve(t)
  const get = (...lines: string[]): Promise<string> =>
    raw(['GET /api/v1/namespaces HTTP/1.1', ...lines, `Authorization: Bearer ${TOKEN}`, 'Connection: close', '', ''].join('\r\n'))
  for (const host of [`127.0.0.1:${server.port}`, `localhost:${server.port}`, `LOCALHOST:${server.port}`, `[::1]:${server.port}`]) {
    assert.match(await get(`Host: ${host}`), /^HTTP\/1.1 200 /, host)
  }
  for (const host of [
    '127.0.0.1',
    'localhost',
    `evil.example:${server.port}`,
    `127.0.0.1.evil.example:${server.port}`,
    `0.0.0.0:${server.port}`,
    '',
  ]) {
    const answer = await get(`Host: ${host}`)
    assert.match(answer, /^HTTP\/1.1 403 /, `Host ${JSON.stringify(host)}`)
    assert.match(answer, /is not this server: use one of 127\.0\.0\.1:/)
  }
  assert.match(await get(`Host: 127.0.0.1:${server.port}`, `Host: 127.0.0.1:${server.port}`), /^HTTP\/1.1 40[03] /, 'two Host headers')
  assert.match(await get(), /^HTTP\/1.1 400 /, 'no Host header')
  assert.equal(audit.filter((event) => event.responseStatus.code === 403 && event.user.username === undefined).length >= 6, true)
})

test('health and version pages are behind the Host check too', async (t) => {
  const { raw } = await serve(t)
  for (const path of ['/healthz', '/version']) {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: rebound.example:80\r\nConnection: close\r\n\r\n`)
    assert.match(answer, /^HTTP\/1.1 403 /, path)
  }
})

test('a request target that is a URL is refused', async (t) => {
  const { raw, server } = await serve(t)
  const answer = await raw(
    `GET http://127.0.0.1:${server.port}/api HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`,
  )
  assert.match(answer, /^HTTP\/1.1 403 /)
})

test('a request with an Origin is refused whatever it is, and no answer carries a CORS header', async (t) => {
  const { send, server } = await serve(t)
  for (const origin of ['http://evil.example', `https://127.0.0.1:${server.port}`, 'null', '']) {
    const answer = await send('GET', '/api/v1/namespaces', { headers: { origin } })
    assert.equal(answer.status, 403, `Origin ${JSON.stringify(origin)}`)
  }
  const preflight = await send('OPTIONS', SECRETS, {
    token: '',
    headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
  })
  assert.equal(preflight.status, 403)
  const allowed = await send('GET', '/api/v1/namespaces')
  assert.equal(allowed.status, 200)
  for (const { headers } of [preflight, allowed]) {
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith('access-control-')),
      [],
    )
    assert.equal(headers['x-content-type-options'], 'nosniff')
  }
})

test('bodies of the types that a form can send are refused, and nothing is made', async (t) => {
  const { send } = await serve(t)
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'planted' } })
  for (const type of [
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '',
    'text/plain; application/json',
  ]) {
    const answer = await send('POST', SECRETS, { body, headers: { 'content-type': type } })
    assert.equal(answer.status, 415, `Content-Type ${JSON.stringify(type)}`)
    assert.equal(answer.json.reason, 'UnsupportedMediaType')
  }
  assert.equal((await send('POST', SECRETS, { body, headers: { 'content-encoding': 'gzip' } })).status, 415)
  assert.equal((await send('GET', `${SECRETS}/planted`)).status, 404)
  assert.equal((await send('POST', SECRETS, { body })).status, 201)
})

test('without a known token there is no answer but health and version', async (t) => {
  const { send, audit } = await serve(t)
  const refused = async (path: string, headers: Record<string, string> = {}): Promise<void> => {
    const answer = await send('GET', path, { token: '', headers })
    assert.equal(answer.status, 401, `${path} ${JSON.stringify(headers)}`)
    assert.equal(answer.json.reason, 'Unauthorized')
  }
  for (const path of ['/api', '/apis', '/openapi/v2', '/openapi/v3', SECRETS, '/metrics', '/carrel.dev/activity/x']) await refused(path)
  await refused(`${SECRETS}?token=${TOKEN}`)
  await refused(`${SECRETS}?access_token=${TOKEN}&authorization=Bearer%20${TOKEN}`)
  await refused(SECRETS, { authorization: `Bearer ${TOKEN}x` })
  await refused(SECRETS, { authorization: `Bearer ${TOKEN.slice(0, -1)}` })
  await refused(SECRETS, { authorization: 'Bearer ' })
  await refused(SECRETS, { authorization: `Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}` })
  await refused(SECRETS, { cookie: `token=${TOKEN}` })
  assert.equal(
    audit.every((event) => event.responseStatus.code === 401 && event.user.username === undefined),
    true,
  )
  for (const path of ['/healthz', '/livez', '/readyz', '/version']) assert.equal((await send('GET', path, { token: '' })).status, 200, path)
  assert.equal((await send('GET', '/version', { token: '' })).json.gitVersion, 'v1.37.2+carrel')
})

test("a token is one caller's: the gateway's may not write secrets", async (t) => {
  const { send, audit } = await serve(t)
  const answer = await send('POST', SECRETS, {
    token: 'gateway-token-of-the-test',
    body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } },
  })
  assert.equal(answer.status, 403)
  assert.match(answer.json.message, /User "system:serviceaccount:carrel-system:gateway" cannot create resource "secrets"/)
  assert.equal(audit.at(-1)!.user.username, 'system:serviceaccount:carrel-system:gateway')
})

test('a body over 3 MiB is refused, and its sender sees why, whether or not it said the size', async (t) => {
  const { server, send } = await serve(t)
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big' }, data: { x: 'x'.repeat(4 * 1024 * 1024) } })
  const declared = await send('POST', '/api/v1/namespaces/default/configmaps', { body })
  assert.deepEqual([declared.status, declared.json.reason], [413, 'RequestEntityTooLarge'])
  const chunked = await open(server, 'POST', '/api/v1/namespaces/default/configmaps', { body, headers: { 'transfer-encoding': 'chunked' } })
  assert.equal(chunked.statusCode, 413)
  await readAll(chunked)
  assert.equal((await send('GET', '/api/v1/namespaces/default/configmaps/big')).status, 404)
})

test('a body that is no JSON, no YAML or no UTF-8 gets 400 saying where', async (t) => {
  const { send } = await serve(t)
  const json = await send('POST', SECRETS, { body: '{"kind":' })
  assert.equal(json.status, 400)
  assert.match(json.json.message, /unrecognized \(application\/json\): .*JSON/)
  const yaml = await send('POST', SECRETS, { body: 'a: [1', headers: { 'content-type': 'application/yaml' } })
  assert.equal(yaml.status, 400)
  const protobuf = await send('POST', SECRETS, { body: 'k8s', headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } })
  assert.equal(protobuf.status, 400)
})
