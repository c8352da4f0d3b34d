import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { clientOf, headDeadline, limitConnections } from '../../src/gateway/limits/connections.ts'
import { eventually } from '../kit/eventually.ts'
import { SESSION_HEADER, invocationPath, newSessionId, parseAnswer, readAll } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, serve } from './served.ts'

const within = { withinMs: 15_000 }
const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

interface Limited {
  server: Server
  lines: object[]
  refused: string[]
  open(): Socket
}

async function limited(t: TestContext, perAddress: number, headMs = 20_000): Promise<Limited> {
  const server = createServer(headDeadline(headMs), (_request, response) => void response.end('ok'))
  const lines: object[] = []
  const refused: string[] = []
  const unused = (): never => assert.fail('not used')
  const log = { debug: unused, info: unused, warn: (fields: object) => void lines.push(fields), error: unused }
  const env = { clock: systemClock, random: systemRandom, log }
  limitConnections(server, env, { perAddress, observer: { limited: (limit) => void refused.push(limit) } })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const open = (): Socket => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
    return socket
  }
  return { server, lines, refused, open }
}

const held = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))))

test('a connection too many from one address is told 429 and closed, is logged once a second at most, and room comes back', async (t) => {
  const { server, lines, refused, open } = await limited(t, 3)
  const kept = [open(), open(), open()]
  await eventually(async () => (await held(server)) === 3, { ...within, because: 'three are open' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = open()
      socket.write(GET)
      return parseAnswer(await readAll(socket))
    }),
  )
  for (const answer of answers) {
    const { status, type, message } = errorOf(answer)
    assert.deepEqual(
      [status, type, answer.headers['retry-after'], answer.headers['x-amz-retry-after']],
      [429, 'ThrottlingException', '1', '1000'],
    )
    assert.match(message, /more than 3 connections from one address/)
  }
  assert.deepEqual(refused, Array(20).fill('connectionsPerAddress'))
  assert.ok(lines.length >= 1 && lines.length < 5, `${lines.length} lines`)

  kept[0]!.destroy()
  await eventually(async () => (await held(server)) === 2, { ...within, because: 'one is closed, and the refused ones are' })
  const next = open()
  next.write(GET.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'))
  assert.equal(parseAnswer(await readAll(next)).body, 'ok')
})

test('0 is no limit', async (t) => {
  const { server, open } = await limited(t, 0)
  for (let n = 0; n < 20; n += 1) open()
  await eventually(async () => (await held(server)) === 20, { ...within, because: 'all are open' })
})

test('an address is itself, an IPv6 one its /64 network', () => {
  assert.equal(clientOf('10.1.2.3'), '10.1.2.3')
  assert.equal(clientOf('::ffff:10.1.2.3'), '10.1.2.3')
  assert.equal(clientOf('2001:db8:0:1:aaaa::1'), '2001:db8:0:1::/64')
  assert.equal(clientOf('2001:0db8::1:bbbb:0:0:2'), '2001:db8:0:1::/64')
  assert.equal(clientOf('2001:db8:0:2::1'), '2001:db8:0:2::/64')
  assert.equal(clientOf('::1'), '0:0:0:0::/64')
  assert.equal(clientOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
})

test('100 heads that drip are cut at their deadline, while others are served', async (t) => {
  const { server, open } = await limited(t, 1_000, 400)
  const slow = Array.from({ length: 100 }, () => {
    const socket = open()
    socket.write('POST / HTTP/1.1\r\n')
    return socket
  })
  const drip = setInterval(() => slow.forEach((socket) => socket.writable && socket.write('x-drip: 1\r\n')), 50)
  t.after(() => clearInterval(drip))
  const good = open()
  good.write(GET.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'))
  assert.equal(parseAnswer(await readAll(good)).body, 'ok')
  await eventually(async () => (await held(server)) === 0, { ...within, because: 'all are cut' })
})

test('100 bodies that drip before anybody is recognised are cut at their deadline, reach no agent, and hold nobody up', async (t) => {
  const served = await serve(t, undefined, { patience: { silenceMs: 2_000, wholeMs: 600 } })
  const path = invocationPath(ARN)
  const headers = await served.raw.sign({ path, headers: { [SESSION_HEADER]: newSessionId() }, body: 'x'.repeat(1_000) })
  const head = `POST ${path} HTTP/1.1\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}content-length: 1000\r\n\r\n`
  const slow = Array.from({ length: 100 }, () => {
    const socket = served.raw.open()
    socket.write(head)
    return { socket, answer: readAll(socket).then(parseAnswer) }
  })
  await eventually(() => served.gateway.open === 100, { ...within, because: 'all are open' })
  const drip = setInterval(() => slow.forEach(({ socket }) => socket.writable && socket.write('x')), 50)
  t.after(() => clearInterval(drip))
  assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 200)
  for (const { answer } of slow) assert.match(errorOf(await answer).message, /too slowly/)
  await eventually(() => served.gateway.open === 0, { ...within, because: 'nothing is left of them' })
  assert.equal(served.reached.length, 1)
})
