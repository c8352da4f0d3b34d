import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Exchange } from '../../bench/gateway/exchange.ts'
import { payloadOf } from '../../bench/gateway/payload.ts'
import { cpuSecondsOf } from '../../bench/gateway/processor-time.ts'
import { quantile } from '../../bench/gateway/quantile.ts'
import type { Way } from '../../bench/gateway/load.ts'
import { measure } from '../../bench/gateway/throughput.ts'
import { Child } from '../../bench/runner/child.ts'

const SIZE = { payloadBytes: 1_024, seconds: 0.5 }

async function listening(t: TestContext, listener: RequestListener): Promise<Way> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const body = payloadOf(SIZE.payloadBytes)
  const request = Buffer.from(`POST / HTTP/1.1\r\nhost: bench\r\ncontent-length: ${body.length}\r\n\r\n${body}`).toString('base64')
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, requests: [request] }
}

function loading(t: TestContext): Child {
  const load = new Child(join(import.meta.dirname, '..', '..', 'bench', 'gateway', 'load.ts'), [])
  t.after(() => load.stop())
  return load
}

const servedBy = (way: Way) => ({ ways: async () => ({ sigv4: way, jwt: way, nginx: way, direct: way }) })

test('a round counts each answered request once, and no more CPU than the process had', async (t) => {
  let answered = 0
  const way = await listening(t, (request, response) => {
    request.resume().on('end', () => {
      answered += 1
      response.end('{}')
    })
  })
  const startedAt = cpuSecondsOf([process.pid])
  const { sample } = await measure(loading(t), servedBy(way), 'sigv4', [process.pid], SIZE)
  const cpuSeconds = cpuSecondsOf([process.pid]) - startedAt
  const counted = sample['requests per second']! * SIZE.seconds
  assert.ok(counted > 0 && counted <= answered, `${counted} of ${answered}`)
  const counting = counted / sample['requests per CPU-second']!
  assert.ok(counting > 0 && counting <= cpuSeconds + 0.01, `${counting} of ${cpuSeconds} s`)
  assert.ok(sample['latency when saturated, p50']! <= sample['latency when saturated, p99']!)
  assert.ok(Math.abs(sample['added latency, p50']!) < sample['latency alone, p50']!, 'the same way adds nothing to itself')
})

for (const [what, fails] of [
  ['with 429', (response) => response.writeHead(429).end('{}')],
  ['by a connection that is cut', (response) => response.destroy()],
] as const satisfies [string, (response: Parameters<RequestListener>[1]) => void][]) {
  test(`one call of many that is answered ${what} ends the round`, async (t) => {
    let calls = 0
    const way = await listening(t, (request, response) => {
      calls += 1
      const isBad = calls === 20
      request.resume().on('end', () => (isBad ? fails(response) : response.end('{}')))
    })
    await assert.rejects(measure(loading(t), servedBy(way), 'sigv4', [process.pid], SIZE), /every call must be answered with 200/)
  })
}

test('a kept connection reads one answer after the other, of a known length or in chunks, whole or in pieces', async (t) => {
  let calls = 0
  const way = await listening(t, (request, response) => {
    calls += 1
    const known = calls % 2 === 1
    request.resume().on('end', () => {
      if (known) return void response.writeHead(200, { 'content-length': '5' }).end('12345')
      response.writeHead(201).write('12')
      setImmediate(() => response.end('345'))
    })
  })
  const exchange = await Exchange.open(way.host, way.port)
  t.after(() => exchange.close())
  const answers = []
  for (let one = 0; one < 4; one += 1) answers.push(await exchange.send(Buffer.from(way.requests[0]!, 'base64')))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 201, 200, 201],
  )
  assert.equal(answers[0]!.bodyBytes, 5)
})

test('CPU time of a process is what the process itself says', () => {
  const endAtMs = performance.now() + 100
  while (performance.now() < endAtMs);
  const { user, system } = process.cpuUsage()
  assert.ok(Math.abs(cpuSecondsOf([process.pid]) - (user + system) / 1e6) < 0.05)
})

test('a payload has its size; a quantile is a value that was measured', () => {
  assert.equal(Buffer.byteLength(payloadOf(65_536)), 65_536)
  assert.deepEqual([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.99), quantile([7], 0.01)], [2, 3, 7])
  assert.ok(Number.isNaN(quantile([], 0.5)))
})
