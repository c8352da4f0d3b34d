import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { METER_PORT, proofOfPod, proofRequest, sessionMeterKey, sidecarBearer } from '../../src/metering/access.ts'
import { takeSettings } from '../../src/metering/sidecar/settings.ts'
import { eventually } from '../kit/eventually.ts'
import { ask, KEY, listening, ownAddress, POD_UID, rawConnection, SECRET, startSidecar } from './sidecar-process.ts'

const NONCE = 'bm9uY2Utb2Ytc2l4dGVlbg' // 16 bytes
const OTHER_KEY = sessionMeterKey(SECRET, 'another-session')
const proofPath = (nonce: string, key: string, podUID: string): string => `/proof?nonce=${nonce}&ask=${proofRequest(key, nonce, podUID)}`
const bearer = (key: string, podUID = POD_UID): Record<string, string> => ({ authorization: `Bearer ${sidecarBearer(key, podUID)}` })

async function serve(t: { after(end: () => void): void }, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => void (server.closeAllConnections(), server.close()))
  return (server.address() as AddressInfo).port
}

test('a meter proves its pod to who shows the key, tells its holder of agent and usage, and all others nothing', async (t) => {
  const agentPort = await serve(
    t,
    createServer((_, response) => void response.end('{"status":"HealthyBusy","time_of_last_update":1}')),
  )
  const { address } = await listening(startSidecar(t, { agentPort }))

  await t.test('the proof is of this pod and this nonce', async () => {
    const { status, body } = await ask(address, proofPath(NONCE, KEY, POD_UID))
    assert.deepEqual([status, JSON.parse(body)], [200, { podUID: POD_UID, proof: proofOfPod(KEY, NONCE, POD_UID) }])
    const another = 'YW5vdGhlci1ub25jZS1vZi0zMi1ieXRlcy1sb25nISE'
    const again = JSON.parse((await ask(address, proofPath(another, KEY, POD_UID))).body) as { proof: string }
    assert.equal(again.proof, proofOfPod(KEY, another, POD_UID))
    assert.notEqual(again.proof, proofOfPod(KEY, NONCE, POD_UID), 'what was heard once is no answer to the next question')
  })

  await t.test('who shows no key, or means another pod or session, gets no proof', async () => {
    const attacks = {
      'another pod of the session': proofPath(NONCE, KEY, 'pod-of-the-next-incarnation'),
      "another session's key": proofPath(NONCE, OTHER_KEY, POD_UID),
      'the secret itself as key': proofPath(NONCE, SECRET, POD_UID),
      'the ask of another nonce': `/proof?nonce=${NONCE}&ask=${proofRequest(KEY, 'b'.repeat(22), POD_UID)}`,
      'the proof as ask': `/proof?nonce=${NONCE}&ask=${proofOfPod(KEY, NONCE, POD_UID)}`,
      'the bearer as ask': `/proof?nonce=${NONCE}&ask=${sidecarBearer(KEY, POD_UID)}`,
      'a prefix of the ask': `/proof?nonce=${NONCE}&ask=${proofRequest(KEY, NONCE, POD_UID).slice(0, -1)}`,
      'the ask and more': `${proofPath(NONCE, KEY, POD_UID)}A`,
    }
    for (const [attack, path] of Object.entries(attacks)) {
      const { status, body } = await ask(address, path)
      assert.equal(status, 403, attack)
      assert.doesNotMatch(body, new RegExp(`${POD_UID}|proof"`), attack)
    }
  })

  await t.test('nonces that are short enough to guess, or long enough to fill a header, are no question', async () => {
    for (const nonce of ['', 'a', 'a'.repeat(21), 'a'.repeat(44), 'a'.repeat(1_000), `${'a'.repeat(21)}:`, `${'a'.repeat(21)}%41`])
      assert.equal((await ask(address, proofPath(nonce, KEY, POD_UID))).status, 404, nonce)
  })

  await t.test('usage and agent are told to holders of the key of this pod only', async () => {
    for (const path of [`/usage/${POD_UID}`, '/agent', '/usage/another-pod']) {
      for (const headers of [
        {},
        { authorization: '' },
        { authorization: 'Bearer ' },
        { authorization: `Bearer ${KEY}` },
        { authorization: `Bearer ${SECRET}` },
        { authorization: `Basic ${sidecarBearer(KEY, POD_UID)}` },
        { authorization: `Bearer ${sidecarBearer(KEY, POD_UID)} x` },
        bearer(OTHER_KEY),
        bearer(KEY, 'another-pod'),
      ] as Record<string, string>[]) {
        const { status, body } = await ask(address, path, { headers })
        assert.deepEqual([status, body], [401, '{"message":"a bearer of this meter is needed"}'], `${path} ${headers['authorization']}`)
      }
    }
    assert.equal((await ask(address, '/usage/another-pod', { headers: bearer(KEY) })).status, 404)
  })

  await t.test('this machine is no microVM of one pod: it says that it cannot see the pod, and gives no figure', async () => {
    const { status, body } = await ask(address, `/usage/${POD_UID}`, { headers: bearer(KEY) })
    const { reason, message } = JSON.parse(body) as { reason: string; message: string }
    assert.deepEqual([status, reason], [404, 'NotVisible'])
    assert.match(message, /shares its kernel with the node/)
  })

  await t.test('the agent is watched', async () => {
    const state = await eventually(
      async () => {
        const { status, body } = await ask(address, '/agent', { headers: bearer(KEY) })
        const answered = JSON.parse(body) as { status: string; since: string }
        return status === 200 && answered.status === 'HealthyBusy' && answered
      },
      { withinMs: 20_000, because: 'the agent says that it is busy' },
    )
    assert.match(state.since, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(Math.abs(Date.parse(state.since) - Date.now()) < 60_000, 'by its own clock, not by what the agent says')
  })

  await t.test('no other path, method or header gets anything', async () => {
    for (const path of [
      '/',
      '/proof',
      '/usage',
      '/usage/',
      '/agent/',
      '/agent?x',
      '//agent',
      '/metrics',
      `/usage/${POD_UID}/x`,
      '/%61gent',
    ])
      assert.equal((await ask(address, path, { headers: bearer(KEY) })).status, 404, path)
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'])
      assert.equal((await ask(address, '/agent', { method, headers: bearer(KEY) })).status, 404, method)
    assert.equal((await ask(address, '/agent', { headers: { ...bearer(KEY), padding: 'x'.repeat(4_000) } })).status, 431)
  })

  await t.test('one answer a connection', async () => {
    const { socket, closed } = rawConnection(address)
    socket.write('GET /a HTTP/1.1\r\nhost: x\r\n\r\nGET /b HTTP/1.1\r\nhost: x\r\n\r\n')
    const text = await closed
    assert.equal(text.match(/HTTP\/1\.1 404/g)?.length, 1, text)
    assert.match(text, /connection: close/i)
  })

  await t.test(
    'who is slow is dropped within seconds, and holds up nobody: with headers, with a body, or with nothing at all',
    async () => {
      const slow = {
        nothing: '',
        'half a line': 'GET /ag',
        'headers without an end': 'GET /agent HTTP/1.1\r\nhost: x\r\n',
        'a body without an end': 'POST /agent HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nx',
      }
      const startedAtMs = performance.now()
      const all = Object.entries(slow).flatMap(([name, text]) =>
        Array.from({ length: 10 }, () => {
          const { socket, closed } = rawConnection(address)
          socket.write(text)
          return closed.then(() => name)
        }),
      )
      const { status } = await ask(address, proofPath(NONCE, KEY, POD_UID))
      assert.equal(status, 200)
      await Promise.all(all)
      assert.ok(performance.now() - startedAtMs < 15_000, `${performance.now() - startedAtMs} ms`)
    },
  )

  await t.test('a flood of connections is capped, and over when its sender goes', async () => {
    const flood = Array.from({ length: 200 }, () => rawConnection(address))
    await Promise.all(flood.slice(64).map(({ closed }) => closed)) // those over the cap, and in time the others too
    for (const { socket } of flood) socket.destroy()
    await eventually(async () => (await ask(address, proofPath(NONCE, KEY, POD_UID))).status === 200, {
      withinMs: 20_000,
      because: 'it answers again',
    })
  })
})

test('it ends at once, and well, when it is told to', async (t) => {
  const sidecar = await listening(startSidecar(t))
  const held = rawConnection(sidecar.address)
  held.socket.write('GET /agent HTTP/1.1\r\n')
  await once(held.socket, 'connect')
  const startedAtMs = performance.now()
  sidecar.process.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0)
  assert.ok(performance.now() - startedAtMs < 5_000)
})

test('an agent that took the port first: the meter ends with a line that says so, and gives no proof', async (t) => {
  const address = ownAddress()
  const squatter = createTcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'))
  await new Promise<void>((resolve) => squatter.listen(METER_PORT, address, resolve))
  t.after(() => squatter.close())
  const sidecar = startSidecar(t, { address })
  assert.equal(await sidecar.exit, 1)
  assert.deepEqual(
    sidecar.lines().map(({ level }) => level),
    ['error'],
  )
  assert.match(sidecar.lines()[0]!.msg, /port 9465 is taken: the agent must leave it to the meter/)
})

test('a setting that is missing or wrong is named, and its value is not told', async (t) => {
  const wrong = {
    CARREL_METER_KEY: ['', 'short', `${'k'.repeat(42)}!`, 'k'.repeat(44)],
    CARREL_METER_POD_UID: ['', 'with space', 'u'.repeat(65)],
    CARREL_METER_AGENT_PORT: ['', '0', '65536', '8080x', '-1', '1e3'],
  }
  const right = { CARREL_METER_KEY: KEY, CARREL_METER_POD_UID: POD_UID, CARREL_METER_AGENT_PORT: '8080' }
  for (const [name, values] of Object.entries(wrong))
    for (const value of values)
      assert.throws(
        () => takeSettings({ ...right, [name]: value }),
        ({ message }: Error) => message.startsWith(name) && (value.length < 6 || !message.includes(value)),
        `${name}=${value}`,
      )
  const environment: Record<string, string | undefined> = { ...right }
  assert.deepEqual(takeSettings(environment), { key: KEY, podUID: POD_UID, agentPort: 8080, host: undefined })
  assert.ok(!('CARREL_METER_KEY' in environment), 'the key is taken out')
  const sidecar = startSidecar(t, { changes: { CARREL_METER_KEY: '' } })
  assert.equal(await sidecar.exit, 1)
  assert.match(sidecar.lines()[0]!.msg, /^CARREL_METER_KEY is missing/)
})
