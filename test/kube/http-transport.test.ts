import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { ApiError, TransportError } from '../../src/kube/errors.ts'
import { httpTransport, type ClusterAccess } from '../../src/kube/http-transport.ts'
import type { Transport, WatchEvent } from '../../src/kube/transport.ts'
import { eventually } from '../kit/eventually.ts'
import { thing } from './objects.ts'
import { failure } from './scripted-transport.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** A real server for one test, and a transport to it. */
async function serving(t: TestContext, handler: Handler, access: Partial<ClusterAccess> = {}): Promise<Transport> {
  const server = createServer((request, response) => void handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const transport = httpTransport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ...access })
  t.after(async () => {
    await transport.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return transport
}

function answer(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string
  return text
}

async function all(watch: AsyncIterable<WatchEvent>): Promise<WatchEvent[]> {
  const events: WatchEvent[] = []
  for await (const event of watch) events.push(event)
  return events
}

const lineOf = (event: WatchEvent): string => `${JSON.stringify(event)}\n`

describe('a request over HTTP', () => {
  test('carries method, path, query, body and its type; answers status, headers and JSON', async (t) => {
    let seen: unknown
    const transport = await serving(t, async (request, response) => {
      const { method, url, headers } = request
      seen = {
        method,
        url,
        type: headers['content-type'],
        accept: headers.accept,
        token: headers.authorization,
        body: await textOf(request),
      }
      answer(response, 201, { made: true }, { 'Retry-After': '3' })
    })
    const answered = await transport.request({
      method: 'PATCH',
      path: '/api/v1/x',
      query: { limit: '5', a: 'b c' },
      body: { é: 1 },
      contentType: 'application/merge-patch+json',
    })
    assert.deepEqual(seen, {
      method: 'PATCH',
      url: '/api/v1/x?limit=5&a=b+c',
      type: 'application/merge-patch+json',
      accept: 'application/json',
      token: undefined,
      body: '{"é":1}',
    })
    assert.equal(answered.status, 201)
    assert.deepEqual(answered.body, { made: true })
    assert.equal(answered.headers['retry-after'], '3')
  })

  test('answers text as text', async (t) => {
    const transport = await serving(t, (_, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('{"a":1}'))
    assert.equal((await transport.request({ method: 'GET', path: '/log' })).body, '{"a":1}')
  })

  test('a refusal is an answer, not an error', async (t) => {
    const transport = await serving(t, (_, response) => answer(response, 409, failure(409, 'Conflict')))
    assert.equal((await transport.request({ method: 'PUT', path: '/x', body: {} })).status, 409)
  })

  test('a 401 reads the token afresh, once', async (t) => {
    const tokens: (string | undefined)[] = []
    const asked: (boolean | undefined)[] = []
    const token = (fresh?: boolean): string => {
      asked.push(fresh)
      return fresh ? 'new' : 'old'
    }
    const handler: Handler = (request, response) => {
      tokens.push(request.headers.authorization)
      answer(response, request.headers.authorization === 'Bearer new' && request.url === '/right' ? 200 : 401, {})
    }
    const transport = await serving(t, handler, { token })
    assert.equal((await transport.request({ method: 'GET', path: '/right' })).status, 200)
    assert.deepEqual(asked, [false, true])
    assert.equal((await transport.request({ method: 'GET', path: '/wrong' })).status, 401, 'and then says so')
    assert.deepEqual(tokens, ['Bearer old', 'Bearer new', 'Bearer old', 'Bearer new'])
  })

  test('a server that does not answer in time is a TransportError', async (t) => {
    const transport = await serving(t, () => {})
    await assert.rejects(
      transport.request({ method: 'GET', path: '/slow', timeoutMs: 50 }),
      (error) => error instanceof TransportError && error.message.includes('GET /slow'),
    )
  })

  test('is given up in time though the host vanished before TLS was set up, watch and request', async (t) => {
    const sockets: Socket[] = []
    const silent = createTcpServer((socket) => void sockets.push(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const transport = httpTransport({ server: `https://127.0.0.1:${(silent.address() as AddressInfo).port}` })
    t.after(() => {
      silent.close()
      for (const socket of sockets) socket.destroy()
      return transport.close()
    })
    const startedAtMs = performance.now()
    await assert.rejects(transport.request({ method: 'GET', path: '/x', timeoutMs: 100 }), TransportError)
    const stop = AbortSignal.timeout(100)
    await assert.rejects(transport.request({ method: 'GET', path: '/x', signal: stop }), TransportError)
    assert.deepEqual(await all(transport.watch({ path: '/x', signal: AbortSignal.timeout(100) })), [])
    assert.ok(performance.now() - startedAtMs < 5_000, `${performance.now() - startedAtMs} ms`)
  })

  test('an abort, a cut and a refused connection are TransportErrors', async (t) => {
    const stop = new AbortController()
    const transport = await serving(t, (request, response) => {
      if (request.url === '/abort') stop.abort()
      else if (request.url === '/cut') request.socket.destroy()
      else response.writeHead(200, { 'content-length': '100' }).write('half', () => request.socket.destroy())
    })
    await assert.rejects(transport.request({ method: 'GET', path: '/abort', signal: stop.signal }), TransportError)
    await assert.rejects(transport.request({ method: 'GET', path: '/cut' }), TransportError)
    await assert.rejects(transport.request({ method: 'GET', path: '/half' }), TransportError)
    const nowhere = await unusedPort()
    const refused = httpTransport({ server: `http://127.0.0.1:${nowhere}` })
    t.after(() => refused.close())
    await assert.rejects(refused.request({ method: 'GET', path: '/x' }), TransportError)
    await assert.rejects(all(refused.watch({ path: '/x' })), TransportError)
  })
})

describe('a watch over HTTP', () => {
  const events: WatchEvent[] = [
    { type: 'ADDED', object: thing('a', 1, 'a', { note: 'Grüße, 世界 🌍' }) },
    { type: 'MODIFIED', object: thing('a', 2, 'a', { note: 'line \u2028 and paragraph \u2029 separators, \r\n escaped' }) },
    { type: 'ERROR', object: failure(410, 'Expired') },
  ]
  const bytes = Buffer.from(events.map(lineOf).join('\n'))

  for (const size of [1, 2, 3, 7, 64, bytes.length]) {
    test(`is whole whatever the chunks: ${size} bytes each`, async (t) => {
      const transport = await serving(t, async (request, response) => {
        request.socket.setNoDelay(true)
        response.writeHead(200, { 'content-type': 'application/json' })
        for (let at = 0; at < bytes.length; at += size)
          await new Promise<void>((resolve) => response.write(bytes.subarray(at, at + size), () => resolve()))
        response.end()
      })
      assert.deepEqual(await all(transport.watch({ path: '/watch' })), events)
    })
  }

  test('is not held back until the connection ends', async (t) => {
    const transport = await serving(t, (_, response) => void response.writeHead(200).write(lineOf(events[0]!)))
    for await (const event of transport.watch({ path: '/watch', query: { watch: 'true' } })) {
      assert.deepEqual(event, events[0])
      break
    }
  })

  test('asks with its query and the token, and reads it afresh once after a 401', async (t) => {
    const seen: unknown[] = []
    const handler: Handler = (request, response) => {
      seen.push([request.url, request.headers.authorization])
      if (request.headers.authorization !== 'Bearer new') answer(response, 401, failure(401, 'Unauthorized'))
      else response.writeHead(200).end(lineOf(events[0]!))
    }
    const transport = await serving(t, handler, { token: (fresh) => (fresh ? 'new' : 'old') })
    assert.equal((await all(transport.watch({ path: '/watch', query: { watch: 'true' } }))).length, 1)
    assert.deepEqual(seen, [
      ['/watch?watch=true', 'Bearer old'],
      ['/watch?watch=true', 'Bearer new'],
    ])
  })

  test('a refusal is an ApiError with its reason and Retry-After', async (t) => {
    const transport = await serving(t, (_, response) => answer(response, 429, failure(429, 'TooManyRequests'), { 'retry-after': '2' }))
    await assert.rejects(all(transport.watch({ path: '/watch' })), (error) => {
      assert.ok(error instanceof ApiError)
      assert.deepEqual([error.status, error.reason, error.retryAfterMs], [429, 'TooManyRequests', 2_000])
      return true
    })
  })

  for (const [how, rest] of [
    ['between lines', ''],
    ['inside a line', '{"type":"ADD'],
  ] as const) {
    test(`a connection cut ${how} is a TransportError after what arrived`, async (t) => {
      const transport = await serving(t, (request, response) => {
        response.writeHead(200).write(lineOf(events[0]!) + rest, () => void setImmediate(() => request.socket.destroy()))
      })
      const arrived: WatchEvent[] = []
      const watching = (async () => {
        for await (const event of transport.watch({ path: '/watch' })) arrived.push(event)
      })()
      await assert.rejects(watching, TransportError)
      assert.deepEqual(arrived, [events[0]])
    })
  }

  test('a line that is no JSON, or ends in the middle, is a TransportError', async (t) => {
    const transport = await serving(
      t,
      (request, response) => void response.writeHead(200).end(request.url === '/html' ? '<html>\n' : lineOf(events[0]!).slice(0, -5)),
    )
    await assert.rejects(all(transport.watch({ path: '/html' })), TransportError)
    await assert.rejects(all(transport.watch({ path: '/half' })), TransportError)
  })

  for (const how of ['abort while it waits', 'abort before the answer', 'return'] as const) {
    test(`${how} ends it cleanly and closes the socket`, async (t) => {
      let open = 0
      const stop = new AbortController()
      const transport = await serving(t, (request, response) => {
        open += 1
        request.socket.on('close', () => (open -= 1))
        if (how === 'abort before the answer') stop.abort()
        else response.writeHead(200).write(lineOf(events[0]!))
      })
      let arrived = 0
      for await (const _ of transport.watch({ path: '/watch', signal: stop.signal })) {
        arrived += 1
        if (how === 'return') break
        stop.abort()
      }
      assert.equal(arrived, how === 'abort before the answer' ? 0 : 1)
      await eventually(() => open === 0, { withinMs: 10_000, because: 'the socket of the watch closes', everyMs: 5 })
    })
  }

  test('an aborted signal asks nothing', async (t) => {
    const transport = await serving(t, () => assert.fail('asked'))
    assert.deepEqual(await all(transport.watch({ path: '/watch', signal: AbortSignal.abort() })), [])
  })

  test('many watches hold no request back', async (t) => {
    const transport = await serving(t, (request, response) =>
      request.url === '/watch' ? void response.writeHead(200).write('\n') : answer(response, 200, 'here'),
    )
    const stop = new AbortController()
    const watching = Array.from({ length: 100 }, () => all(transport.watch({ path: '/watch', signal: stop.signal })))
    assert.equal((await transport.request({ method: 'GET', path: '/x', timeoutMs: 20_000 })).body, 'here')
    stop.abort()
    assert.deepEqual((await Promise.all(watching)).flat(), [])
  })
})

/** A port on which nobody listens: one that was just given back. */
async function unusedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
