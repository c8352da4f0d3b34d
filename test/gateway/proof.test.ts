/** Design rule 1, the connection's half, on real sockets: nothing reaches an agent before its meter has proven the pod. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { systemRandom } from '../../src/env/system.ts'
import { meterProof, type Proof } from '../../src/gateway/proxy/prove.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import { gatewaySettings } from '../../src/gateway/settings.ts'
import { NotProven } from '../../src/gateway/upstream.ts'
import { METER_PORT, proofOfPod, sessionMeterKey } from '../../src/metering/access.ts'
import { eventually } from '../kit/eventually.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { startShippedMeter } from '../kit/shipped-meter.ts'
import { errorOf } from '../kit/wire-error.ts'
import { PlayedPod, SECRET, meterOf, upstreamPod, type MeterAnswer } from './played-pod.ts'
import { ARN, serve } from './served.ts'

/** Long where an answer comes: this process plays the meters, too, and may be held up. Short where none comes. */
const [LONG_MS, SHORT_MS] = [20_000, 300]
const patienceMs = (why: Proof): number => (why === 'noMeter' ? SHORT_MS : LONG_MS)

/** Pools that want proofs, and the outcome of each. */
function provingPools(t: TestContext, timeoutMs = LONG_MS): { pools: Pools; proofs: Proof[] } {
  const proofs: Proof[] = []
  const pools = new Pools(meterProof({ random: systemRandom, secret: SECRET, timeoutMs, told: (proof) => proofs.push(proof) }))
  t.after(() => pools.close())
  return { pools, proofs }
}

/** What an agent answered to one call through the pools. */
async function call(pools: Pools, { pod }: PlayedPod): Promise<unknown> {
  const { body } = await pools.of(pod).request({ method: 'POST', path: '/invocations', body: '{}' })
  return body.json()
}

const isNotProven =
  (why: string) =>
  (error: unknown): boolean =>
    error instanceof NotProven && error.why === why

test('a connection whose pod is proven carries calls, and is proven once', async (t) => {
  const { pools, proofs } = provingPools(t)
  const right = await PlayedPod.start(t, upstreamPod('right'))
  assert.equal(await pools.connect(right.pod, LONG_MS), 'connected')
  assert.deepEqual([right.bytes, right.connections], [0, 1], 'the first look sends nothing')
  assert.equal(await call(pools, right), 'right')
  assert.deepEqual([proofs, right.connections], [['proven'], 1], 'and its connection is the one that the call goes by')
})

/** Meters that are wrong in one way each, and what that is called. */
const WRONG: Record<string, { why: Proof; meter: MeterAnswer }> = {
  "another session's pod": { why: 'otherPod', meter: meterOf({ uid: 'other', sessionUID: 'session-of-other' }) },
  "the session's earlier pod": { why: 'otherPod', meter: meterOf({ uid: 'earlier', sessionUID: 'session-of-wanted' }) },
  'a pod of another installation': { why: 'otherPod', meter: meterOf({ uid: 'wanted', sessionUID: 'session-of-wanted' }, 'x'.repeat(32)) },
  'a proof of another nonce, played again': { why: 'otherPod', meter: proving({ nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }) },
  'a proof of another pod UID': { why: 'otherPod', meter: proving({ provenUID: 'other' }) },
  'a right proof under another name': { why: 'otherPod', meter: proving({ toldUID: 'other' }) },
  'an empty proof': { why: 'otherPod', meter: (_, response) => void response.end('{"podUID":"wanted","proof":""}') },
  'no JSON': { why: 'unreadable', meter: (_, response) => void response.end('proven, upon my word') },
  'JSON of another shape': { why: 'unreadable', meter: (_, response) => void response.end('{"podUID":["wanted"],"proof":true}') },
  null: { why: 'unreadable', meter: (_, response) => void response.end('null') },
  'a right proof with too much behind it': { why: 'unreadable', meter: proving({ padding: ' '.repeat(600) }) },
  'a body without an end': { why: 'unreadable', meter: endless },
  'a redirect': { why: 'unreadable', meter: (_, response) => void response.writeHead(307, { location: '/elsewhere' }).end() },
  'a server error': { why: 'unreadable', meter: (_, response) => void response.writeHead(500).end() },
  'a right proof with the wrong status': { why: 'unreadable', meter: proving({ status: 206 }) },
  'a head that is too long': { why: 'unreadable', meter: (_, response) => void response.writeHead(200, { x: 'y'.repeat(9_000) }).end() },
  'nothing, for ever': { why: 'noMeter', meter: () => {} },
  'a drip': { why: 'noMeter', meter: drip },
  'half a proof': {
    why: 'noMeter',
    meter: (_, response) => void (response.writeHead(200, { 'content-length': '99' }).write('{"pod'), response.socket!.end()),
  },
}

for (const [what, { why, meter }] of Object.entries(WRONG)) {
  test(`a meter that answers with ${what}: not one byte reaches its agent`, async (t) => {
    const { pools, proofs } = provingPools(t, patienceMs(why))
    const wrong = await PlayedPod.start(t, upstreamPod('wanted'), meter)
    await assert.rejects(call(pools, wrong), isNotProven(why))
    assert.equal(await pools.connect(wrong.pod, LONG_MS), why)
    assert.deepEqual([proofs, wrong.asked.length], [[why, why], 2], 'each is asked once, by a question of its own')
    assert.notEqual(wrong.asked[0], wrong.asked[1])
    await eventually(() => pools.connections === 0, { withinMs: 5_000, because: 'no connection is kept' })
    assert.equal(wrong.bytes, 0)
  })
}

const NO_HTTP: Record<string, { why: Proof; onConnection: (socket: Socket) => void }> = {
  garbage: { why: 'unreadable', onConnection: (socket) => void socket.end('\u0000\u0001 what\r\n\r\n') },
  'a protocol switch': {
    why: 'noMeter',
    onConnection: (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
  },
  'interim answers without end': {
    why: 'noMeter',
    onConnection: (socket) => void setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 50).unref(),
  },
  'a reset': { why: 'noMeter', onConnection: (socket) => void socket.resetAndDestroy() },
}

for (const [what, { why, onConnection }] of Object.entries(NO_HTTP)) {
  test(`${what} at the meter's port: not one byte reaches the agent`, async (t) => {
    const { pools, proofs } = provingPools(t, patienceMs(why))
    const wrong = await PlayedPod.start(t, upstreamPod('wanted'), 'none')
    await wrong.listenRaw(onConnection)
    await assert.rejects(call(pools, wrong), isNotProven(why))
    assert.deepEqual([proofs, wrong.bytes], [[why], 0])
  })
}

test('by default, a meter has a second to answer', async (t) => {
  const pools = new Pools(meterProof({ random: systemRandom, secret: SECRET }))
  t.after(() => pools.close())
  const silent = await PlayedPod.start(t, upstreamPod('silent'), () => {})
  const beganAtMs = performance.now()
  assert.equal(await pools.connect(silent.pod, LONG_MS), 'noMeter')
  const tookMs = performance.now() - beganAtMs
  assert.ok(tookMs > 990 && tookMs < LONG_MS, `${tookMs} ms`)
})

test('a pod without a meter gets no byte until the meter listens', async (t) => {
  const { pools } = provingPools(t)
  const late = await PlayedPod.start(t, upstreamPod('late'), 'none')
  assert.equal(await pools.connect(late.pod, LONG_MS), 'noMeter')
  await assert.rejects(call(pools, late), isNotProven('noMeter'))
  assert.equal(late.bytes, 0)
  await late.listenAsMeter()
  assert.equal(await call(pools, late), 'late')
})

test('the nonce is made after the connection, for each anew, and tells the key to nobody', async (t) => {
  const { pools } = provingPools(t)
  const right = await PlayedPod.start(t, upstreamPod('right'))
  const seen: number[] = []
  const honest = right.meter
  right.meter = (request, response) => {
    seen.push(right.connections)
    honest(request, response)
  }
  await Promise.all(Array.from({ length: 4 }, () => call(pools, right)))
  assert.ok(
    seen.every((connections) => connections > 0),
    'the agent had the connection before the meter had the question',
  )
  assert.equal(new Set(right.asked).size, right.asked.length)
  const key = sessionMeterKey(SECRET, right.pod.sessionUID)
  assert.ok(right.asked.every((target) => !target.includes(key) && !target.includes(SECRET)))
})

test('a connection that was idle too long is opened and proven again', async (t) => {
  const { pools, proofs } = provingPools(t)
  const right = await PlayedPod.start(t, upstreamPod('right'))
  await call(pools, right)
  await eventually(() => pools.connections === 0, { withinMs: 10_000, because: 'idle connections end' })
  right.meter = meterOf({ uid: 'other', sessionUID: 'session-of-other' })
  const before = right.bytes
  await assert.rejects(call(pools, right), isNotProven('otherPod'))
  assert.deepEqual([proofs, right.bytes], [['proven', 'otherPod'], before])
})

test('50 parallel first calls: one proof a connection, few at once, and every call answered', async (t) => {
  const { pools, proofs } = provingPools(t)
  const right = await PlayedPod.start(t, upstreamPod('right'))
  const honest = right.meter
  right.meter = (request, response) => void setTimeout(() => honest(request, response), 20) // a slow one
  const answers = await Promise.all(Array.from({ length: 50 }, () => call(pools, right)))
  assert.deepEqual(new Set(answers), new Set(['right']))
  assert.deepEqual([proofs.length, right.asked.length], [right.connections, right.connections])
  assert.equal(right.mostAsked, 8)
})

test('a pod that goes while it is being proven gets nothing, and leaves no connection', async (t) => {
  const { pools } = provingPools(t)
  const right = await PlayedPod.start(t, upstreamPod('right'))
  const honest = right.meter
  right.meter = (request, response) => {
    pools.remove('right', 'at once')
    honest(request, response)
  }
  await assert.rejects(call(pools, right))
  assert.throws(() => pools.of(right.pod), /gone/)
  assert.equal(await pools.connect(right.pod, LONG_MS), 'refused')
  assert.deepEqual([right.bytes, pools.connections, pools.size], [0, 0, 0])
})

test('the meter that ships beside agents proves its pod, 50 first calls at once too, and no other', { timeout: 60_000 }, async (t) => {
  const { pools, proofs } = provingPools(t)
  const shipped = await PlayedPod.start(t, upstreamPod('shipped'), 'none')
  const meter = await startShippedMeter(shipped.pod, SECRET)
  t.after(() => meter.stop())
  const answers = await Promise.all(Array.from({ length: 50 }, () => call(pools, shipped)))
  assert.deepEqual([new Set(answers), new Set(proofs)], [new Set(['shipped']), new Set(['proven'])])
  const bytes = shipped.bytes
  assert.equal(await pools.connect({ ...shipped.pod, uid: 'earlier' }, 1_000), 'otherPod')
  assert.equal(await pools.connect({ ...shipped.pod, sessionUID: 'another' }, 1_000), 'otherPod')
  assert.equal(shipped.bytes, bytes)
})

test('a call meets another pod at the address: it goes to the next pod, and the other hears nothing', async (t) => {
  const { pools, proofs } = provingPools(t)
  const served = await serve(t, undefined, { pools })
  const gone = upstreamPod('gone')
  const other = await PlayedPod.start(t, upstreamPod('other', { address: gone.address }))
  const next = await PlayedPod.start(t, upstreamPod('next', { sessionUID: gone.sessionUID }))
  served.sessions.pods = [gone, next.pod]
  const answer = await served.raw.invoke(ARN, newSessionId(), {})
  assert.deepEqual([answer.status, answer.body], [200, '"next"'])
  assert.deepEqual([other.bytes, proofs, served.sessions.refusals, served.sessions.held], [0, ['otherPod', 'proven'], 1, 0])
})

test('a call whose every pod is another gets 409 to try again; with a silent meter 424 that says where to look', async (t) => {
  const { pools } = provingPools(t)
  const served = await serve(t, undefined, { pools })
  const other = await PlayedPod.start(t, upstreamPod('other'))
  served.sessions.pod = { ...other.pod, uid: 'gone' }
  const stale = errorOf(await served.raw.invoke(ARN, newSessionId(), {}))
  assert.deepEqual([stale.status, stale.type, other.bytes], [409, 'RetryableConflictException', 0])
  assert.match(stale.message, /another pod answers/)
  const silent = await PlayedPod.start(t, upstreamPod('silent'), 'none')
  served.sessions.pod = silent.pod
  const dumb = errorOf(await served.raw.invoke(ARN, newSessionId(), {}))
  assert.deepEqual([dumb.status, dumb.type, silent.bytes], [424, 'RuntimeClientError', 0])
  assert.match(dumb.message, /meter beside the agent does not answer.*kubectl logs .*-c meter/)
})

test('a gateway without the secret of the meters does not start, unless it is told to trust addresses', () => {
  const faults = (given: object): string[] =>
    gatewaySettings.safeParse(given).error?.issues.map(({ path, message }) => `${String(path[0])}: ${message}`) ?? []
  assert.match(faults({}).join(), /^meterSecret: .*CARREL_METER_SECRET/)
  assert.match(faults({ proof: 'meter' }).join(), /^meterSecret: /)
  assert.match(faults({ proof: 'meter', meterSecret: 'short' }).join(), /^meterSecret: .*32/)
  assert.match(faults({ proof: 'perhaps' }).join(), /^proof: /)
  assert.deepEqual([faults({ meterSecret: SECRET }), faults({ proof: 'none' })], [[], []])
})

/** A meter that knows the key of `wanted`, and is wrong all the same. */
function proving(wrong: { nonce?: string; provenUID?: string; toldUID?: string; padding?: string; status?: number }): MeterAnswer {
  const key = sessionMeterKey(SECRET, 'session-of-wanted')
  return ({ url }, response) => {
    const nonce = wrong.nonce ?? new URL(`http://meter:${METER_PORT}${url}`).searchParams.get('nonce')!
    const proof = proofOfPod(key, nonce, wrong.provenUID ?? 'wanted')
    response.writeHead(wrong.status ?? 200).end(JSON.stringify({ podUID: wrong.toldUID ?? 'wanted', proof }) + (wrong.padding ?? ''))
  }
}

function endless(_: unknown, response: Parameters<MeterAnswer>[1]): void {
  response.writeHead(200)
  const more = setInterval(() => response.write(' '.repeat(1_000)), 1)
  response.once('close', () => clearInterval(more))
}

function drip(_: unknown, response: Parameters<MeterAnswer>[1]): void {
  response.writeHead(200)
  const more = setInterval(() => response.write(' '), 100)
  response.once('close', () => clearInterval(more))
}
