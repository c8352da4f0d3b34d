import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll, sha256 } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, answerOk, serve, type Served } from './served.ts'

const PATH = invocationPath(ARN)

/** A signed call whose answer is read by the test itself. */
async function opened(
  { raw }: Served,
  connection = 'keep-alive',
): Promise<{ received(): string; socket: ReturnType<typeof raw.open>; closed: Promise<Buffer> }> {
  const headers = await raw.sign({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body: '{}' })
  const socket = raw.open()
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
  const lines = Object.entries({ ...headers, 'content-length': '2', connection }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n{}`)
  return { received: () => Buffer.concat(chunks).toString('latin1'), socket, closed: readAll(socket) }
}

const within = { withinMs: 10_000 }

test('head and chunks reach the caller as the agent sends them, each before the next is sent', async (t) => {
  let response: ServerResponse | undefined
  const served = await serve(t, (_request, answer) =>
    (response = answer.writeHead(200, { 'content-type': 'text/event-stream' })).flushHeaders(),
  )
  const call = await opened(served)
  await eventually(() => call.received().includes('\r\n\r\n'), { ...within, because: 'the head arrives before any chunk' })
  assert.match(call.received(), /x-accel-buffering: no/)
  for (let n = 1; n <= 20; n += 1) {
    response!.write(`data: ${n}\n\n`)
    await eventually(() => call.received().includes(`data: ${n}\n\n`), { ...within, because: `chunk ${n} arrives`, everyMs: 1 })
    assert.ok(!call.received().includes(`data: ${n + 1}\n\n`))
  }
  assert.equal(served.sessions.held, 1)
  response!.end()
  await eventually(() => served.sessions.held === 0, { ...within, because: 'the call is released at its end' })
  assert.ok(call.received().endsWith('0\r\n\r\n'), 'a clean end')
  call.socket.destroy()
})

test('a caller that does not read slows the agent down instead of filling memory', async (t) => {
  const all = 200_000_000
  let sent = 0
  const served = await serve(t, (_request, response) => {
    response.writeHead(200)
    const more = (): void => {
      let takes = true
      while (takes && sent < all) {
        takes = response.write(Buffer.alloc(65_536))
        sent += 65_536
      }
      if (sent < all) response.once('drain', more)
      else response.end()
    }
    more()
  })
  const call = await opened(served)
  call.socket.pause()
  let last = -1
  await eventually(() => (sent > 0 && sent === last) || void (last = sent), { ...within, because: 'the agent has to wait', everyMs: 300 })
  assert.ok(sent < all / 4, `${sent} bytes went out although nobody reads`)
  call.socket.destroy()
  await eventually(() => sent >= all && served.sessions.held === 0, {
    withinMs: 30_000,
    because: 'without its caller, the agent runs to its end',
  })
})

test("a caller that goes away does not end the agent's work; the call counts as open until its end", async (t) => {
  let response: ServerResponse | undefined
  let broken = false
  const served = await serve(t, (request, answer) => {
    request.on('close', () => (broken ||= !answer.writableEnded))
    response = answer.writeHead(200)
    answer.write('first')
  })
  const call = await opened(served)
  await eventually(() => call.received().includes('first'), { ...within, because: 'the first chunk arrives' })
  call.socket.destroy()
  await call.closed
  for (let n = 0; n < 100; n += 1) response!.write(Buffer.alloc(100_000))
  await eventually(() => response!.writableLength === 0, { ...within, because: 'what it sends is drained' })
  assert.deepEqual([served.sessions.held, served.gateway.open, broken], [1, 1, false])
  response!.end('last')
  await eventually(() => served.sessions.held === 0 && served.gateway.open === 0, { ...within, because: 'it ends with the agent' })
  assert.equal(broken, false)
})

test('a caller that goes away before the agent answers does not end its work either', async (t) => {
  let response: ServerResponse | undefined
  const served = await serve(t, (_request, answer) => void (response = answer))
  const call = await opened(served)
  await eventually(() => response, { ...within, because: 'the agent has the call' })
  call.socket.destroy()
  await call.closed
  assert.equal(served.sessions.held, 1)
  response!.writeHead(200).end('done')
  await eventually(() => served.sessions.held === 0 && served.gateway.open === 0, { ...within, because: 'it ends with the agent' })
  assert.equal(response!.destroyed && !response!.writableFinished, false)
})

test('an agent that dies in mid-stream breaks the stream visibly', async (t) => {
  for (const head of [{}, { 'content-length': '100' }]) {
    const served = await serve(t, (_request, response) => {
      response.writeHead(200, head).write('first')
      setImmediate(() => response.destroy())
    })
    const call = await opened(served)
    const received = (await call.closed).toString('latin1')
    assert.match(received, /^HTTP\/1.1 200 /)
    assert.ok(!received.endsWith('0\r\n\r\n'), 'no clean end')
    await eventually(() => served.sessions.held === 0 && served.gateway.open === 0, { ...within, because: 'it is over' })
  }
})

test('an agent that dies before its answer gets 424, with the reason of the end when there is one', async (t) => {
  const served = await serve(t, (request) => void request.socket.destroy())
  const first = errorOf(await served.raw.invoke(ARN, newSessionId(), {}))
  assert.deepEqual([first.status, first.type], [424, 'RuntimeClientError'])
  assert.match(first.message, /closed the connection before it had answered/)
  served.sessions.ended.resolve({ reason: 'AgentExited' })
  assert.match(errorOf(await served.raw.invoke(ARN, newSessionId(), {})).message, /the session ended \(AgentExited\)/)
  assert.equal(served.reached.length, 2, 'a call that an agent may have seen is not sent again')
})

test('error answers and redirects of the agent become 424 with its status and where to look', async (t) => {
  let status = 0
  const served = await serve(t, (request, response) => {
    request.resume()
    response.writeHead(status, { location: 'http://169.254.169.254/', 'set-cookie': 'a=b', 'content-type': 'text/html' }).end('<b>no</b>')
  })
  for (status of [301, 302, 304, 400, 404, 409, 429, 500, 503]) {
    const answer = await served.raw.invoke(ARN, newSessionId(), {})
    const error = errorOf(answer)
    assert.deepEqual([error.status, error.type], [424, 'RuntimeClientError'])
    assert.match(
      error.message,
      new RegExp(`^Received error \\(${status}\\) from runtime\\. .*kubectl logs -n default -l carrel.dev/runtime=probe`),
    )
    assert.deepEqual([answer.headers['location'], answer.headers['set-cookie']], [undefined, undefined])
  }
})

test('an error answer that never ends is cut, not waited for', async (t) => {
  const endless = await serve(t, (_request, response) => void response.writeHead(500).write('and'))
  assert.equal((await endless.raw.invoke(ARN, newSessionId(), {})).status, 424)
  const long = await serve(t, (_request, response) => {
    response.writeHead(500)
    const more = (): void =>
      void (response.destroyed || (response.write(Buffer.alloc(65_536)) ? setImmediate(more) : response.once('drain', more)))
    more()
  })
  assert.equal((await long.raw.invoke(ARN, newSessionId(), {})).status, 424)
})

test('any 2xx passes with its status and bytes; interim answers do not', async (t) => {
  let status = 0
  const body = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  const served = await serve(t, (_request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.writeHead(status, { 'content-type': 'application/octet-stream' }).end(status === 204 ? undefined : body)
  })
  for (status of [200, 201, 202, 204, 206]) {
    const bytes = await (await opened(served, 'close')).closed
    assert.equal(parseAnswer(bytes).status, status)
    if (status !== 204) assert.ok(bytes.includes(body))
  }
})

test('only listed headers reach the caller, with those that make the answer safe to show', async (t) => {
  const served = await serve(t, (_request, response) => {
    response.writeHead(200, {
      'content-type': 'text/html',
      'set-cookie': 'a=b',
      'x-frame-options': 'ALLOWALL',
      'access-control-allow-origin': '*',
      'content-security-policy': "script-src 'unsafe-inline'",
      'x-amzn-requestid': 'forged',
      [SESSION_HEADER]: 'forged',
      'x-amzn-trace-id': 'Root=1',
      'www-authenticate': 'Basic',
      server: 'agent',
      'x-secret': '1',
    })
    response.end('<script>1</script>')
  })
  const id = newSessionId()
  const { headers } = await served.raw.invoke(ARN, id, {})
  const requestId = headers['x-amzn-requestid']
  assert.match(requestId!, /^[0-9a-f-]{36}$/)
  const { date: _date, connection: _connection, 'transfer-encoding': _encoding, ...rest } = headers
  assert.deepEqual(rest, {
    'content-type': 'text/html',
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
    'x-amzn-trace-id': 'Root=1',
    [SESSION_HEADER.toLowerCase()]: id,
    'x-amzn-requestid': requestId,
  })
})

test('a header value that cannot be passed on is left out, not the answer', async (t) => {
  const served = await serve(t, (_request, response) => {
    response.socket!.end(
      'HTTP/1.1 200 OK\r\ncontent-type: text/plain; x=\xe2\x80\x9c\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok',
      'latin1',
    )
  })
  const answer = await served.raw.invoke(ARN, newSessionId(), {})
  assert.deepEqual([answer.status, answer.body], [200, 'ok'])
})

test('of the request, the agent gets what Carrel writes, traces, and what its allow-list names', async (t) => {
  const allowHeaders = [
    'X-Tenant',
    'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Plan',
    'Authorization',
    'Cookie',
    'WorkloadAccessToken',
    'workload_access_token',
    'OAuth2_Callback_Url',
    'x_amzn_bedrock_agentcore_runtime_session_id',
    'X-Amz-Bedrock-AgentCore-Identity-WAT',
    'Host',
    'Content-Length',
  ]
  const served = await serve(t, answerOk, { allowHeaders })
  const id = newSessionId()
  await served.raw.invoke(
    ARN,
    id,
    {},
    {
      'x-tenant': 'acme',
      'x-amzn-bedrock-agentcore-runtime-custom-plan': 'gold',
      'x-amzn-bedrock-agentcore-runtime-custom-other': 'no',
      'x-unlisted': 'no',
      cookie: 'a=b',
      workloadaccesstoken: 'forged',
      workload_access_token: 'forged',
      oauth2_callback_url: 'forged',
      oauth2callbackurl: 'forged',
      x_amzn_bedrock_agentcore_runtime_session_id: 'forged',
      'x-amz-bedrock-agentcore-identity-wat': 'forged',
      'x-forwarded-for': '1.2.3.4',
      traceparent: '00-1-2-01',
      baggage: 'k=v',
    },
  )
  const { headers } = served.reached[0]!
  const requestId = headers['x-amzn-bedrock-agentcore-runtime-request-id']
  assert.match(String(requestId), /^[0-9a-f-]{36}$/)
  const { host: _host, connection: _connection, ...rest } = headers
  assert.deepEqual(rest, {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream, */*',
    'content-length': '2',
    [SESSION_HEADER.toLowerCase()]: id,
    'x-amzn-bedrock-agentcore-runtime-request-id': requestId,
    'x-tenant': 'acme',
    'x-amzn-bedrock-agentcore-runtime-custom-plan': 'gold',
    traceparent: '00-1-2-01',
    baggage: 'k=v',
  })
  assert.equal(served.reached[0]!.url, '/invocations')
})

test('Content-Type and Accept that SDK agents refuse are mended, others pass', async (t) => {
  const served = await serve(t)
  const send = (headers: Record<string, string>) =>
    served.raw.send({ path: PATH, headers: { [SESSION_HEADER]: newSessionId(), ...headers }, body: '{}' })
  await send({})
  await send({ 'content-type': 'application/octet-stream', accept: '*/*' })
  await send({ 'content-type': 'text/csv', accept: 'text/event-stream' })
  const usual = ['application/json', 'application/json, text/event-stream, */*']
  assert.deepEqual(
    served.reached.map(({ headers }) => [headers['content-type'], headers.accept]),
    [usual, usual, ['text/csv', 'text/event-stream']],
  )
})

test('8 MB each way arrive byte for byte', async (t) => {
  const served = await serve(
    t,
    (request, response) => void request.pipe(response.writeHead(200, { 'content-type': 'application/octet-stream' })),
  )
  const body = Buffer.alloc(8 * 1024 * 1024, 'carrel and ')
  const headers = await served.raw.sign({ path: PATH, headers: { [SESSION_HEADER]: newSessionId() }, body })
  const response = await fetch(new URL(PATH, served.url), { method: 'POST', headers, body })
  assert.equal(sha256(Buffer.from(await response.arrayBuffer())), sha256(body))
})
