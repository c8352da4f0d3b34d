import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import type { AskedAccess } from '../../src/kube/reviews.ts'
import { SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll, type RawAnswer } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, serve, type Played, type Served } from './served.ts'

const PATH = invocationPath(ARN)
const ELSEWHERE = invocationPath(ARN.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a')))
const USER_ID = 'X-Amzn-Bedrock-AgentCore-Runtime-User-Id'
const JWT: CustomJWT = { discoveryUrl: 'https://issuer.example/.well-known/openid-configuration', allowedAudience: ['agents'] }

/** Rights, as a list of `verb resource/subresource` that the user has everywhere. */
function holding(...held: string[]): Pick<Played, 'rights'> & { asked: AskedAccess[] } {
  const asked: AskedAccess[] = []
  return {
    asked,
    rights: {
      may: async (_user, wanted) => {
        asked.push(wanted)
        const name = 'path' in wanted ? wanted.path : `${wanted.resource}${wanted.subresource ? `/${wanted.subresource}` : ''}`
        return { answer: held.includes(`${wanted.verb} ${name}`), stale: false }
      },
    },
  }
}
const INVOKE = 'create agentruntimes/invocations'

async function jwtRuntime(
  t: TestContext,
  agent?: (request: IncomingMessage, response: ServerResponse) => void,
  customJWT: CustomJWT = JWT,
): Promise<
  Served & { bearer(token: string, change?: { body?: string; headers?: Record<string, string>; path?: string }): Promise<RawAnswer> }
> {
  const bearers: Played['bearers'] = {
    authorize: async (_customJWT, token) => {
      if (token === 'no-provider') return { unavailable: true, code: 'Unreachable' }
      if (!token.startsWith('good-')) return { allowed: false, error: 'invalid_token', description: 'the token has expired' }
      return { allowed: true, issuer: 'https://issuer.example', subject: token.slice(5) }
    },
  }
  const served = await serve(t, agent, { bearers, ...holding() })
  served.sessions.runtime.spec.authorizer = { customJWT }
  const bearer: Awaited<ReturnType<typeof jwtRuntime>>['bearer'] = (token, { body = '{}', headers = {}, path = PATH } = {}) => {
    const all = { host: served.raw.url.host, authorization: `Bearer ${token}`, [SESSION_HEADER]: newSessionId(), ...headers }
    return served.raw.exchange('POST', path, all, body)
  }
  return { ...served, bearer }
}

test('a user without the right gets one answer, whether the runtime exists or not; the agent sees nothing', async (t) => {
  const { raw, reached } = await serve(t, undefined, holding('create agentruntimes/stop'))
  const [there, notThere] = await Promise.all([PATH, ELSEWHERE].map(async (path) => errorOf(await raw.send({ path, body: '{}' }))))
  assert.deepEqual([there!.status, there!.type], [403, 'AccessDeniedException'])
  assert.deepEqual(there, notThere)
  assert.match(there!.message, /agentruntimes\/invocations/)
  assert.equal(reached.length, 0)
})

test('who may invoke somewhere learns that the runtime, or its endpoint, is not there', async (t) => {
  const { raw } = await serve(t, undefined, holding(INVOKE))
  const unknown = errorOf(await raw.send({ path: ELSEWHERE, body: '{}' }))
  assert.deepEqual([unknown.status, unknown.type], [404, 'ResourceNotFoundException'])
  const endpoint = errorOf(await raw.send({ path: PATH, query: { qualifier: 'prod' }, body: '{}' }))
  assert.equal(endpoint.status, 404)
  assert.match(endpoint.message, /has no endpoint prod/)
})

test('invoking, stopping and acting for a user are rights of their own', async (t) => {
  const { raw, sessions } = await serve(t, undefined, holding(INVOKE))
  const stop = await raw.send({ path: invocationPath(ARN, 'stopruntimesession'), body: '', headers: { [SESSION_HEADER]: newSessionId() } })
  assert.equal(errorOf(stop).status, 403)
  const forUser = errorOf(await raw.send({ path: PATH, body: '{}', headers: { [USER_ID]: 'bob' } }))
  assert.equal(forUser.status, 403)
  assert.match(forUser.message, /agentruntimes\/invocationsforuser/)
  assert.deepEqual([sessions.entered.length, sessions.stopped.length], [0, 0])
})

test('acting for a user opens that user of this caller a session of its own', async (t) => {
  const { raw, sessions, reached } = await serve(t, undefined, holding(INVOKE, 'create agentruntimes/invocationsforuser'))
  await raw.send({ path: PATH, body: '{}', headers: { [USER_ID]: 'bob' } })
  assert.deepEqual(sessions.entered[0]!.caller.owner, { kind: 'user', issuer: 'ada', subject: 'bob' })
  assert.equal(reached[0]!.headers[USER_ID.toLowerCase()], undefined)
  for (const bad of ['', 'x'.repeat(1025)]) {
    assert.equal(errorOf(await raw.send({ path: PATH, body: '{}', headers: { [USER_ID]: bad } })).status, 400, bad)
  }
})

test('a stale verdict serves live sessions only, and no stop', async (t) => {
  const { raw, sessions } = await serve(t, undefined, { rights: { may: async () => ({ answer: true, stale: true }) } })
  assert.equal((await raw.send({ path: PATH, body: '{}' })).status, 200)
  sessions.isLive = () => false
  const opening = await raw.send({ path: PATH, body: '{}' })
  assert.deepEqual([opening.status, opening.headers['retry-after'], opening.headers['x-amz-retry-after']], [429, '1', '1000'])
  const stop = await raw.send({ path: invocationPath(ARN, 'stopruntimesession'), body: '', headers: { [SESSION_HEADER]: newSessionId() } })
  assert.equal(stop.status, 429)
})

test('a bearer that is not the cluster’s is told the method to use, and no review is made for it', async (t) => {
  let reviewed = 0
  const tokens: Played['tokens'] = {
    isOurs: async (token) => token.startsWith('cluster-'),
    userOf: async (token) => {
      reviewed += 1
      return { answer: token === 'cluster-good' ? { name: 'system:serviceaccount:team:bot', groups: [] } : undefined, stale: false }
    },
  }
  const { raw, sessions, reached } = await serve(t, undefined, { tokens })
  const send = (token: string) => raw.exchange('POST', PATH, { host: raw.url.host, authorization: `Bearer ${token}` }, '{}')
  const foreign = errorOf(await send('eyJ.eyJ.sig'))
  assert.deepEqual([foreign.status, foreign.type, reviewed], [403, 'AccessDeniedException', 0])
  assert.match(foreign.message, /Authorization method mismatch.*Signature Version 4/)
  assert.match(errorOf(await send('cluster-expired')).message, /kubectl create token/)
  assert.equal(reached.length, 0)
  assert.equal((await send('cluster-good')).status, 200)
  assert.deepEqual(sessions.entered[0]!.caller.owner, {
    kind: 'kubernetes',
    issuer: 'kubernetes',
    subject: 'system:serviceaccount:team:bot',
  })
})

test('a signature to a JWT runtime is told the method to use; no token, or a bad one, is told where to get one', async (t) => {
  const { raw, bearer, reached } = await jwtRuntime(t)
  const signed = errorOf(await raw.send({ path: PATH, body: '{}' }))
  assert.deepEqual([signed.status, signed.type], [403, 'AccessDeniedException'])
  assert.match(signed.message, /Authorization method mismatch.*bearer token/)

  const metadata = `resource_metadata="${raw.url.origin}${PATH}/.well-known/oauth-protected-resource?qualifier=DEFAULT"`
  const none = await raw.exchange('POST', PATH, { host: raw.url.host }, '{}')
  assert.deepEqual(
    [none.status, errorOf(none).type, none.headers['www-authenticate']],
    [401, 'UnauthorizedException', `Bearer ${metadata}`],
  )
  const bad = await bearer('stale-token')
  assert.equal(errorOf(bad).status, 401)
  assert.equal(bad.headers['www-authenticate'], `Bearer error="invalid_token", error_description="the token has expired", ${metadata}`)
  assert.equal(errorOf(await bearer('not a token')).status, 401)
  assert.equal(errorOf(await bearer('x'.repeat(64 * 1024))).status, 401)
  assert.equal(errorOf(await bearer('no-provider')).status, 500)
  assert.equal(reached.length, 0)
})

test('the protected-resource document is there for everybody, and only of what takes bearer tokens', async (t) => {
  const { url, sessions } = await jwtRuntime(t)
  const document = await fetch(`${url}${PATH}/.well-known/oauth-protected-resource`)
  assert.equal(document.status, 200)
  const body = (await document.json()) as Record<string, unknown>
  assert.deepEqual([body['resource'], body['authorization_servers']], [`${url}${PATH}`, ['https://issuer.example']])
  delete sessions.runtime.spec.authorizer
  assert.equal((await fetch(`${url}${PATH}/.well-known/oauth-protected-resource`)).status, 404)
})

test('a bearer’s owner is its issuer and subject; a user-id header is not for it', async (t) => {
  const { bearer, sessions } = await jwtRuntime(t)
  assert.equal((await bearer('good-ann')).status, 200)
  assert.deepEqual(sessions.entered[0]!.caller.owner, { kind: 'jwt', issuer: 'https://issuer.example', subject: 'ann' })
  assert.equal(errorOf(await bearer('good-ann', { headers: { [USER_ID]: 'bob' } })).status, 403)
})

test('a bearer’s body streams: the agent reads its beginning before its end was sent', async (t) => {
  const got: string[] = []
  const { raw, sessions } = await jwtRuntime(t, (request, response) => {
    request.on('data', (chunk: Buffer) => {
      got.push(String(chunk))
      if (got.length === 1) response.writeHead(200).write('seen:')
    })
    request.on('end', () => response.end(got.join('')))
  })
  const socket = raw.open()
  const answer = readAll(socket)
  const head = `POST ${PATH} HTTP/1.1\r\nhost: ${raw.url.host}\r\nauthorization: Bearer good-ann\r\nconnection: close\r\n`
  socket.write(`${head}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n`)
  await new Promise((resolve) => socket.once('data', resolve)) // the agent's first bytes, in answer to the first chunk
  assert.deepEqual(got, ['first'])
  socket.write('6\r\nsecond\r\n0\r\n\r\n')
  assert.equal(parseAnswer(await answer).body, 'seen:firstsecond')
  assert.equal(sessions.held, 0)
})

test('a bearer’s body that is too slow, cut short or too large is refused, and the session is let go', async (t) => {
  const served = await jwtRuntime(t, (request) => void request.resume())
  const { raw, sessions } = served
  const head = `POST ${PATH} HTTP/1.1\r\nhost: ${raw.url.host}\r\nauthorization: Bearer good-ann\r\n`
  const announced = raw.open()
  announced.write(`${head}content-length: 100000001\r\n\r\n`)
  announced.end()
  assert.equal(parseAnswer(await readAll(announced)).status, 400)
  const cut = raw.open()
  cut.write(`${head}content-length: 10\r\n\r\nabc`)
  await new Promise((resolve) => setImmediate(resolve))
  cut.destroy()
  while (sessions.held > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(sessions.entered.length <= 1, true)
})

test('the token reaches the agent only where it is allowed and made for a named audience; platform baggage never', async (t) => {
  const seen: Record<string, unknown>[] = []
  const agent = (request: IncomingMessage, response: ServerResponse): void => {
    seen.push(request.headers)
    void text(request).then(() => response.end('{}'))
  }
  const served = await jwtRuntime(t, agent)
  served.sessions.runtime.spec.requestHeaders = { allow: ['Authorization'] }
  const baggage = 'session.id=7,aws.agentcore.configbundle_arn=arn:x, AWS.AgentCore.gateway=y'
  await served.bearer('good-ann', { headers: { baggage } })
  assert.deepEqual([seen[0]!['authorization'], seen[0]!['baggage']], ['Bearer good-ann', 'session.id=7'])
  served.sessions.runtime.spec.authorizer = { customJWT: { discoveryUrl: JWT.discoveryUrl, allowedClients: ['app'] } }
  await served.bearer('good-ann')
  assert.equal(seen[1]!['authorization'], undefined)
})

test('metrics and activity are for identities of the cluster that have the right', async (t) => {
  const { raw, url } = await serve(t, undefined, holding('get /metrics'))
  assert.equal((await fetch(`${url}/metrics`)).status, 403)
  assert.equal((await raw.send({ method: 'GET', path: '/metrics', body: '' })).status, 200)
  assert.equal(errorOf(await raw.send({ method: 'GET', path: '/carrel/v1/activity', body: '' })).status, 403)
  assert.equal(errorOf(await raw.send({ method: 'GET', path: '/carrel/v1/namespaces/Team/activity', body: '' })).status, 400)
  assert.equal(errorOf(await raw.send({ method: 'POST', path: '/metrics', body: '' })).status, 405)
})
