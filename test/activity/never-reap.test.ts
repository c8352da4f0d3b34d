import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import type { Activity } from '../../src/activity/activity.ts'
import { Holds } from '../../src/gateway/sessions/holds.ts'
import { Vigil } from '../../src/operator/reaper/vigil.ts'
import { eventually } from '../kit/eventually.ts'
import { connectTo } from '../kit/redis-activity.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'

const IDLE_MS = 2_000
/** Longer than any lease, heartbeat or idle time. */
const TROUBLE_MS = 6_000
/** From the end of the stream: one idle window, and how late Redis may make it. */
const LATEST_MS = IDLE_MS + 3_000
const POD = 'pod'
const HOUR_MS = 3_600_000

interface Trouble {
  redis: RedisServer
  /** Between gateway A and Redis. */
  line: TcpProxy
}

const TROUBLES: Record<string, (trouble: Trouble) => Promise<void>> = {
  "gateway A's connection refused": async ({ line }) => {
    await line.set({ do: 'refuse' })
    await wait(TROUBLE_MS)
    await line.set({ do: 'pass' })
  },
  "gateway A's connection stalled": async ({ line }) => {
    await line.set({ do: 'stall' })
    await wait(TROUBLE_MS)
    await line.set({ do: 'pass' })
  },
  'Redis emptied, again and again': async ({ redis }) => {
    for (let elapsedMs = 0; elapsedMs < TROUBLE_MS; elapsedMs += 750) {
      await redis.empty()
      await wait(750)
    }
  },
  'Redis restarted': async ({ redis }) => {
    await redis.restart()
    await wait(TROUBLE_MS)
  },
  'Redis paused': async ({ redis }) => {
    redis.pause()
    await wait(TROUBLE_MS)
    redis.resume()
  },
  "Redis' clock an hour on, and back": async ({ redis }) => {
    redis.setClockOffset(HOUR_MS)
    await wait(TROUBLE_MS / 2)
    redis.setClockOffset(0)
    await wait(TROUBLE_MS / 2)
  },
}

/** A gateway's part of the matter, over its own connection. */
function gateway(t: TestContext, name: string, activity: Activity): Holds {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const unused = (): never => assert.fail('not used')
  const kubernetes = { request: unused, watch: unused, close: unused }
  const holds = new Holds({ clock: systemClock, random: systemRandom, log, kubernetes, activity, dial: { connect: unused } }, name)
  const end = new AbortController()
  void holds.run(end.signal)
  t.after(() => end.abort())
  return holds
}

/** The reaper's part; answers when it closed the pod. */
function reaper(t: TestContext, activity: Activity, gateways: string[]): { closedAtMs: () => number | undefined } {
  let closedAtMs: number | undefined
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const unused = (): never => assert.fail('not used')
  const env = { clock: systemClock, random: systemRandom, log, kubernetes: { request: unused, watch: unused, close: unused }, activity }
  const vigil: Vigil = new Vigil(
    {
      ...env,
      probe: { ping: async () => ({ answer: 'Healthy' }) },
      providers: { check: unused },
      meters: { read: unused, acknowledge: unused },
    },
    () => {
      if (vigil.verdictOn(POD).idleClosed) closedAtMs ??= performance.now()
    },
    async () => gateways,
  )
  vigil.keep({ podUID: POD, sessionKey: 'ns/session', address: '127.0.0.9', port: 8080, started: true, idleMs: IDLE_MS })
  t.after(() => vigil.stop())
  return { closedAtMs: () => closedAtMs }
}

describe('a stream through gateway A outlives its idle time', { concurrency: 3 }, () => {
  for (const [name, happens] of Object.entries(TROUBLES)) {
    test(`${name}: it is not reaped, and ends in time afterwards`, async (t) => {
      if (!needs(t, 'CARREL_TEST_REDIS') || !needs(t, 'CARREL_TEST_FAKETIME')) return
      const redis = await RedisServer.start({ faketime: true })
      t.after(() => redis.stop())
      const line = await TcpProxy.start({ port: redis.port })
      t.after(() => line.stop())
      const stores = await Promise.all([`redis://127.0.0.1:${line.port}`, redis.url, redis.url].map((url) => connectTo(redis, url)))
      t.after(() => stores.forEach(({ activity }) => activity.disconnect()))
      const [a, b] = [gateway(t, 'a', stores[0]!.activity), gateway(t, 'b', stores[1]!.activity)]

      assert.equal(await b.hold(POD, IDLE_MS), 'held')
      b.release(POD)
      assert.equal(await a.hold(POD, IDLE_MS), 'held')
      const { closedAtMs } = reaper(t, stores[2]!.activity, ['a', 'b'])
      await happens({ redis, line })
      await wait(3_000)
      assert.equal(closedAtMs(), undefined, 'work was reaped')

      const endedAtMs = performance.now()
      a.release(POD)
      const atMs = await eventually(closedAtMs, { withinMs: 20_000, because: 'it was never closed', everyMs: 10 })
      assert.ok(atMs - endedAtMs >= IDLE_MS, `closed ${IDLE_MS - (atMs - endedAtMs)} ms early`)
      assert.ok(atMs - endedAtMs <= LATEST_MS, `closed ${atMs - endedAtMs} ms after the stream`)
      assert.equal(await b.hold(POD, IDLE_MS), 'closed')
    })
  }
})
