/**
 * Work is never reaped (design rule 5): a stream holds its session over any fault of the gateway that carries it and of the
 * store, and once it has ended the session does too, at most 3 s after its idle window and never within it.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { lendPlane } from '../kit/planes.ts'
import { lendRedis } from '../kit/redises.ts'
import { newSessionId, type RawGateway } from '../kit/raw-gateway.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'
import { ExtraGateway, Histories, openStream, type Stream } from './kit.ts'

const IDLE_SECONDS = 2
const IDLE_MS = IDLE_SECONDS * 1_000
const LONG_IDLE_SECONDS = 4
const LONG_IDLE_MS = LONG_IDLE_SECONDS * 1_000
const LATE_MS = 3_000
/** What this test itself may be late in seeing on a busy machine. */
const SEEN_MS = 500
/** Of a gateway, in the API. */
const LEASE_MS = 15_000
const CHUNK_MS = 250
const RUNNING_WITHIN_MS = 20_000

interface Scene {
  arn: string
  /** Of a runtime with the longer window. */
  idleArn: string
  histories: Histories
}

/** A session with a stream open on it, seen running. */
interface Held extends Scene {
  what: string
  sessionId: string
  chunks: number
  stream: Stream
}

async function hold(scene: Scene, what: string, gateway: RawGateway, streamMs: number): Promise<Held> {
  const { arn, histories } = scene
  const [sessionId, chunks] = [newSessionId(), Math.ceil(streamMs / CHUNK_MS)]
  const stream = await openStream(gateway, arn, sessionId, { chunks, everyMs: CHUNK_MS })
  await stream.begun
  await histories.untilPhase(sessionId, 'Running', RUNNING_WITHIN_MS)
  return { ...scene, what, sessionId, chunks, stream }
}

/** The stream was whole, the session lived all the while, and then ended in time. */
async function survives({ what, sessionId, chunks, stream, histories }: Held): Promise<void> {
  const ended = await stream.ended
  assert.deepEqual(
    {
      chunks: ended.chunks,
      isWhole: ended.isWhole,
      phases: histories
        .of(sessionId)
        .map(({ phase }) => phase)
        .filter((phase) => phase.startsWith('Term')),
    },
    { chunks, isWhole: true, phases: [] },
    `${what}: the whole stream arrives, and the session is there at its end`,
  )
  const end = await histories.untilEnd(sessionId, IDLE_MS + LATE_MS + 10_000)
  const afterMs = end.atMs - ended.atMs
  assert.equal(end.reason, 'IdleTimeout', what)
  assert.ok(afterMs >= IDLE_MS - SEEN_MS, `${what}: it ended ${afterMs} ms after its stream, which is early`)
  assert.ok(afterMs <= IDLE_MS + LATE_MS + SEEN_MS, `${what}: it ended ${afterMs} ms after its stream, which is late`)
}

/**
 * An idle session has its whole window after its last call. The call is such that the store is first asked, one window after
 * the pod was made, soon after the fault and long before the session's end.
 */
async function isNotEarly({ histories, idleArn }: Scene, what: string, gateway: RawGateway, fault: () => Promise<void>): Promise<void> {
  const sessionId = newSessionId()
  await gateway.ask(idleArn, sessionId, { do: 'boot' })
  await wait(LONG_IDLE_MS / 2)
  await gateway.ask(idleArn, sessionId, { do: 'boot' })
  const calledAtMs = performance.now()
  await wait(LONG_IDLE_MS / 4)
  await fault()
  const end = await histories.untilEnd(sessionId, 3 * LONG_IDLE_MS + 10_000)
  assert.ok(
    end.atMs - calledAtMs >= LONG_IDLE_MS - SEEN_MS,
    `${what}: an idle session ended ${end.atMs - calledAtMs} ms after its last call`,
  )
}

async function scene(t: TestContext, installation: LocalInstallation): Promise<Scene> {
  const histories = await Histories.follow(t, installation)
  const apply = (name: string, idleTimeoutSeconds: number): Promise<string> =>
    installation.apply(runtimeManifest(name, { idleTimeoutSeconds }))
  const [arn, idleArn] = await Promise.all([apply('probe', IDLE_SECONDS), apply('idle', LONG_IDLE_SECONDS)])
  return { histories, arn, idleArn }
}

test(
  'the store is emptied, restarted, and its clock set 1 h on: a stream holds its session, which then ends in time',
  { timeout: 150_000 },
  async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_REDIS') || !needs(t, 'CARREL_TEST_FAKETIME')) return
    const server = await RedisServer.start({ faketime: true })
    const plane = await lendPlane()
    const installation = await LocalInstallation.start(t, {
      place: 'replicas',
      surroundings: { plane, redis: { server, giveBack: async () => {} } },
    })
    t.after(() => server.stop())
    t.after(() => plane.giveBack())
    const { gateway } = installation
    const faults: Record<string, () => Promise<void>> = {
      'Redis emptied': () => server.empty(),
      'Redis restarted': () => server.restart(),
      "Redis' clock 1 h on": async () => server.setClockOffset(3_600_000),
    }
    const all = await scene(t, installation)
    for (const [what, fault] of Object.entries(faults)) {
      const held = await hold(all, what, gateway, 8_000)
      await Promise.all([isNotEarly(all, what, gateway, fault), survives(held)])
    }
  },
)

test(
  'a gateway loses Redis for 10 s, is paused for 10 s, is killed: its session lives as long as its stream does, and no longer',
  { timeout: 120_000 },
  async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_REDIS')) return
    const surroundings = { plane: await lendPlane(), redis: await lendRedis() }
    const installation = await LocalInstallation.start(t, { place: 'replicas', surroundings })
    const redis = surroundings.redis.server
    const proxies = await Promise.all([TcpProxy.start(redis), TcpProxy.start(redis)])
    for (const proxy of proxies) t.after(() => proxy.stop())
    const [cut, silent] = proxies
    const through = (proxy: TcpProxy): string => `redis://127.0.0.1:${proxy.port}`
    const [cutOff, unheard, paused, killed] = await Promise.all([
      ExtraGateway.start(t, installation, { name: 'gateway-cut-off', redis: through(cut) }),
      ExtraGateway.start(t, installation, { name: 'gateway-unheard', redis: through(silent) }),
      ExtraGateway.start(t, installation, { name: 'gateway-paused', redis: redis.url }),
      ExtraGateway.start(t, installation, { name: 'gateway-killed', redis: redis.url }),
    ])
    const all = await scene(t, installation)

    // Nothing closes while a Lease of a gateway is unheard: the streams outlast that of the killed one, or it would lengthen every end.
    const FAULT_MS = 10_000
    const STREAM_MS = LEASE_MS + 9_000
    const [onCutOff, onUnheard, onPaused, onKilled] = await Promise.all([
      hold(all, 'Redis cut for 10 s', cutOff.raw, STREAM_MS),
      hold(all, 'Redis silent for 10 s', unheard.raw, STREAM_MS),
      hold(all, 'the gateway paused for 10 s', paused.raw, STREAM_MS),
      hold(all, 'the gateway killed', killed.raw, 2 * STREAM_MS),
    ])
    const [killedAtMs] = await Promise.all([
      killed.kill().then(() => performance.now()),
      paused.pause(),
      cut.set({ do: 'refuse' }),
      silent.set({ do: 'stall' }),
    ])
    const lives = [onCutOff, onUnheard, onPaused].map(survives)
    const dies = all.histories.untilEnd(onKilled.sessionId, LEASE_MS + IDLE_MS + LATE_MS + 10_000)
    for (const each of [...lives, dies]) each.catch(() => {}) // told below, when all is over
    await wait(FAULT_MS)
    paused.resume()
    await Promise.all([cut.set({ do: 'pass' }), silent.set({ do: 'pass' })])

    const end = await dies
    const afterMs = end.atMs - killedAtMs
    assert.equal((await onKilled.stream.ended).isWhole, false)
    assert.equal(end.reason, 'IdleTimeout')
    assert.ok(afterMs >= IDLE_MS - 1_000 - SEEN_MS, `${afterMs} ms after the kill is early`) // its last stamp was up to 1 s before
    assert.ok(afterMs <= LEASE_MS + IDLE_MS + LATE_MS + SEEN_MS, `${afterMs} ms after the kill is late`)
    await Promise.all(lives)
  },
)
