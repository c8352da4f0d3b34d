import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { accessLine, type AccessLine } from '../../src/gateway/access-log.ts'
import { Refused } from '../../src/gateway/upstream.ts'
import { eventually } from '../kit/eventually.ts'
import { SESSION_HEADER, invocationPath, newSessionId } from '../kit/raw-gateway.ts'
import { ARN, KEY, RUNTIME_ID, serve, type Served } from './served.ts'

const PATH = invocationPath(ARN)
const within = { withinMs: 10_000 }

/** The lines of the access log, each as the schema wants it. */
function calls({ log }: Served): AccessLine[] {
  return log
    .filter(({ message }) => message === 'call')
    .map(({ level, message, ...fields }) => {
      assert.deepEqual([level, message], ['info', 'call'])
      return accessLine.parse(fields)
    })
}

async function lineOf(served: Served, send: () => Promise<unknown>): Promise<AccessLine> {
  const before = calls(served).length
  await send().catch(() => {})
  await eventually(() => calls(served).length > before, {
    ...within,
    because: 'its line is there',
  })
  return calls(served)[before]!
}

test('a line tells of a call that was answered, of one that was refused, and of one that broke off', async (t) => {
  const served = await serve(
    t,
    (request, response) => {
      request.resume().on('end', () => {
        if (request.headers['x-order'] === undefined) return void response.end('{"ok":true}')
        response.writeHead(200).write('first')
        setTimeout(() => response.destroy(), 20)
      })
    },
    { allowHeaders: ['x-order'] },
  )
  const sessionId = newSessionId()
  const attempt = {
    'amz-sdk-invocation-id': '0b8a6c2e-1f0e-4bb1-9b0e-5f5b0f6f8f11',
    'amz-sdk-request': 'attempt=2; max=3',
  }
  const { requestId, ms, waitedMs, ...ok } = await lineOf(served, () => served.raw.invoke(ARN, sessionId, { a: 1 }, attempt))
  assert.match(requestId, /^[0-9a-f-]{36}$/)
  assert.ok(waitedMs! <= ms + 1)
  assert.deepEqual(ok, {
    method: 'POST',
    path: PATH,
    operation: 'InvokeAgentRuntime',
    runtimeId: RUNTIME_ID,
    endpoint: 'DEFAULT',
    authentication: 'sigv4',
    user: 'ada',
    sessionId,
    status: 200,
    complete: true,
    bytesIn: 7,
    bytesOut: 11,
    awsInvocationId: attempt['amz-sdk-invocation-id'],
    attempt: 2,
  })

  const refused = await lineOf(served, () =>
    served.raw.send({
      path: PATH,
      headers: { [SESSION_HEADER]: sessionId },
      body: '{}',
      keys: { accessKeyId: 'AKIDOTHER' },
    }),
  )
  assert.deepEqual(
    [refused.status, refused.complete, refused.errorType, refused.authentication, refused.user, refused.sessionId],
    [403, true, 'AccessDeniedException', 'none', undefined, undefined],
  )
  const broken = await lineOf(served, () => served.raw.invoke(ARN, sessionId, {}, { 'x-order': 'break' }))
  assert.deepEqual([broken.status, broken.complete, broken.bytesOut], [200, false, 5])
  const nothing = await lineOf(served, () => fetch(`${served.url}/nowhere?token=planted`))
  assert.deepEqual([nothing.operation, nothing.path, nothing.status], ['Unknown', '/nowhere', 404])
})

test('of a caller that leaves before it was answered the line has no status', async (t) => {
  const served = await serve(t, () => {})
  const line = await lineOf(served, async () => {
    const socket = served.raw.open()
    const headers = await served.raw.sign({
      path: PATH,
      headers: { [SESSION_HEADER]: newSessionId() },
      body: '0123456789',
    })
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`POST ${PATH} HTTP/1.1\r\n${fields.join('')}content-length: 10\r\n\r\n01234`)
    await eventually(() => served.gateway.open === 1, { ...within, because: 'the call is there' })
    socket.destroy()
  })
  assert.deepEqual([line.status, line.complete], [0, false])
})

test('no secret of any call is in any line of the log, whatever becomes of the call', async (t) => {
  const planted = (what: string): string => `planted-${what}`
  let agent: 'answers' | 'fails' | 'breaks' = 'answers'
  const served = await serve(
    t,
    (request, response) => {
      if (agent === 'breaks') return void request.socket.destroy()
      request
        .resume()
        .on('end', () => response.writeHead(agent === 'fails' ? 500 : 200, { 'x-secret': planted('answer') }).end(planted('answer')))
    },
    {
      bearers: {
        authorize: async (_customJWT, token) => {
          throw new Error(`the provider said no to ${token.slice(0, 0)}`)
        },
      },
      tokens: {
        isOurs: async (token) => token.includes('ours'),
        userOf: async () => {
          throw new Error('the review failed')
        },
      },
    },
  )
  const { raw } = served
  const body = JSON.stringify({ prompt: planted('body') })
  const headers = {
    [SESSION_HEADER]: newSessionId(),
    'content-type': 'application/json',
    cookie: planted('cookie'),
    'x-api-key': planted('api-key'),
  }
  const send = (change: object = {}, after: object = {}): Promise<unknown> =>
    raw.send({ path: PATH, headers, body, ...change }, after).catch(() => {})
  const bearer = (token: string): Promise<unknown> =>
    raw.exchange('POST', PATH, { host: raw.url.host, ...headers, authorization: `Bearer ${token}` }, body).catch(() => {})

  await send()
  await send({ keys: { secretAccessKey: planted('key') } })
  await send({ keys: { sessionToken: planted('session-token') } })
  await send({
    query: { 'X-Amz-Security-Token': planted('query'), access_token: planted('query') },
  })
  await send({}, { body: planted('other-body') })
  await send({}, { headers: { authorization: `Basic ${planted('basic')}` } })
  for (const token of ['ours-planted-token', 'planted-token', `planted-${'x'.repeat(70_000)}`, 'planted token']) await bearer(token)
  agent = 'fails'
  await send()
  agent = 'breaks'
  await send()
  served.sessions.instead = () => {
    throw new Refused('the desk fell over')
  }
  await send()
  await send({ path: '/runtimes/%00/invocations', query: { token: planted('query') } })
  const socket = raw.open()
  socket.write(`POST ${PATH} HTTP/1.1\r\nauthorization: Bearer planted-token\r\nbad header\x01: planted-header\r\n\r\n`)
  await new Promise((resolve) => socket.once('close', resolve).resume())

  await eventually(() => served.gateway.open === 0, { ...within, because: 'all calls have ended' })
  assert.ok(served.log.length >= 14, 'every call has a line')
  assert.ok(
    served.log.some(({ level }) => level === 'error'),
    'one call failed inside the gateway',
  )
  const signature = (await raw.sign({ path: PATH, headers, body }))['authorization']!.split('Signature=')[0]!
  for (const line of served.log) {
    const text = inspect(line, { depth: 20, showHidden: true, maxStringLength: null })
    for (const secret of ['planted', KEY.secretAccessKey, 'Signature=', signature.slice(0, 30)]) {
      assert.ok(!text.includes(secret), `${secret} in ${text.slice(0, 2_000)}`)
    }
  }
})
