import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { test, type TestContext } from 'node:test'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import { pingAgent } from '../../src/metering/sidecar/agent-ping.ts'
import { AgentWatch, type AgentAnswer } from '../../src/metering/sidecar/agent-watch.ts'
import { freePort } from '../kit/free-port.ts'

async function listening(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function answering(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  t.after(() => server.closeAllConnections())
  return listening(t, server)
}

test('a ping tells the two good answers from all that an agent may do wrong, in a second and 4 KiB', async (t) => {
  const asked: string[] = []
  const port = await answering(t, (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.end('{"status":"Healthy","time_of_last_update":1}')
  })
  assert.deepEqual(await pingAgent(port), { status: 'Healthy' })
  assert.deepEqual(asked, ['GET /ping'])

  const bodies: [RequestListener, RegExp][] = [
    [(_, response) => response.end('{"status":"Splendid"}'), /another status/],
    [(_, response) => response.end('<html>'), /no JSON object/],
    [(_, response) => response.end('null'), /no JSON object/],
    [(_, response) => response.writeHead(302, { location: `http://127.0.0.1:${port}/ping` }).end(), /answered 302/],
    [(_, response) => response.writeHead(503).end('{"status":"Healthy"}'), /answered 503/],
    [(_, response) => response.end(`{"status":"Healthy","x":"${'x'.repeat(5_000)}"}`), /more than 4096 bytes/],
    [(_, response) => response.writeHead(200, { padding: 'x'.repeat(6_000) }).end('{"status":"Healthy"}'), /GET \/ping broke/],
    [(request) => request.socket.destroy(), /GET \/ping broke/],
  ]
  for (const [listener, message] of bodies) {
    const answer = await pingAgent(await answering(t, listener))
    assert.equal(answer.status, 'Wrong')
    assert.match('message' in answer ? answer.message : '', message)
  }
  assert.equal(asked.length, 1, 'no redirect was followed')
  assert.deepEqual(await pingAgent(await answering(t, (_, response) => response.end('{"status":"HealthyBusy"}'))), {
    status: 'HealthyBusy',
  })
})

test('an agent that is not there, that takes the connection and says nothing, or goes on without an end, is not waited for', async (t) => {
  const none = await freePort()
  assert.deepEqual(await pingAgent(none), { status: 'Unreachable', message: `nothing listens on port ${none}` })
  const silent = await listening(
    t,
    createTcpServer((socket) => void t.after(() => socket.destroy())),
  )
  const endless = await answering(t, (_, response) => void response.write('{"status":'))
  for (const port of [silent, endless])
    assert.deepEqual(await pingAgent(port), { status: 'Unreachable', message: 'GET /ping was not answered in time' })
})

test('the state is kept with the time of its last change, every two seconds', async () => {
  const clock = new VirtualClock(seededRandom('agent-watch'))
  const startedAtMs = clock.now()
  const seconds = (since: string): number => (Date.parse(since) - startedAtMs) / 1000
  const answers: AgentAnswer[] = [
    { status: 'Unreachable', message: 'nothing listens' },
    { status: 'Unreachable', message: 'not in time' },
    { status: 'Healthy' },
    { status: 'Healthy' },
    { status: 'HealthyBusy' },
    { status: 'Healthy' },
  ]
  let pings = 0
  const watch = new AgentWatch(clock, async () => answers[Math.min(pings++, answers.length - 1)]!)
  assert.deepEqual([watch.state.status, seconds(watch.state.since)], ['Unknown', 0])
  const end = new AbortController()
  const running = watch.run(end.signal)
  const seen: unknown[] = []
  for (let at = 0; at < 7; at += 1) {
    await clock.run(at * 2_000 + 1)
    seen.push([watch.state.status, seconds(watch.state.since), watch.state.message])
  }
  assert.deepEqual(seen, [
    ['Unreachable', 0, 'nothing listens'],
    ['Unreachable', 0, 'not in time'],
    ['Healthy', 4, undefined],
    ['Healthy', 4, undefined],
    ['HealthyBusy', 8, undefined],
    ['Healthy', 10, undefined],
    ['Healthy', 10, undefined],
  ])
  end.abort()
  await clock.run(20_000)
  await running
  assert.equal(pings, 7)
})
