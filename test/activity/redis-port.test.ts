import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { FORGET_AFTER_MS, type Activity } from '../../src/activity/activity.ts'
import type { RedisActivity } from '../../src/activity/redis.ts'
import { LONGEST_STEP_MS } from '../../src/activity/redis/scripts.ts'
import { connectTo } from '../kit/redis-activity.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { portSuite, type StoreUnderTest } from './port-suite.ts'

/** A real Redis whose clock the tests move: one for this file, emptied for each test. */
let lent: { server: RedisServer; activity: RedisActivity } | undefined
/** Of Redis' clock. It never goes back from test to test. */
let nowMs = 1_000_000

before(async () => {
  if (!process.env['CARREL_TEST_REDIS'] || !process.env['CARREL_TEST_FAKETIME']) return
  const server = await RedisServer.start({ faketime: true })
  server.freezeClock(nowMs)
  lent = { server, activity: (await connectTo(server)).activity }
})
after(async () => {
  lent?.activity.disconnect()
  await lent?.server.stop()
})

async function begin(t: TestContext): Promise<(StoreUnderTest & { server: RedisServer }) | undefined> {
  if (!needs(t, 'CARREL_TEST_REDIS') || !needs(t, 'CARREL_TEST_FAKETIME')) return undefined
  const { server, activity } = lent!
  await server.empty()
  await activity.isHeld('nobody', '') // the store's time begins
  return { server, activity, advance: (ms) => advance(server, activity, ms), empty: () => server.empty() }
}

/** With somebody calling all the time, as gateways do. */
async function advance(server: RedisServer, activity: Activity, ms: number): Promise<void> {
  const untilMs = nowMs + ms
  while (nowMs < untilMs) {
    nowMs = Math.min(untilMs, nowMs + LONGEST_STEP_MS - 125)
    server.freezeClock(nowMs)
    await activity.isHeld('nobody', '')
  }
}

portSuite('in Redis', begin)

async function keys(server: RedisServer): Promise<string[]> {
  return ((await server.command('KEYS', '*')) as string[]).toSorted()
}

test('what is forgotten leaves no key behind, however many it were', async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  const pods = Array.from({ length: 1_200 }, (_, index) => `pod-${index}`)
  await activity.stamp(
    'g',
    pods.map((podUID) => ({ podUID, idleMs: 1_000, open: true })),
  )
  assert.equal((await keys(server)).length, pods.length + 3)
  await activity.forget(pods)
  assert.deepEqual(await keys(server), ['carrel:{test}:clock', 'carrel:{test}:heard'])
})

test('what nobody forgets goes with a heartbeat, an hour after its deadline; so do gateways that are gone', async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  await activity.stamp('gone', [{ podUID: 'late', idleMs: 1_000, open: false }])
  await store.advance(FORGET_AFTER_MS + 1_000)
  await activity.stamp('g', [])
  assert.ok((await keys(server)).includes('carrel:{test}:pod:late'), 'not before')
  await store.advance(125)
  await activity.stamp('g', [])
  assert.deepEqual(await keys(server), ['carrel:{test}:clock', 'carrel:{test}:heard'])
  assert.deepEqual(await server.command('ZRANGE', 'carrel:{test}:heard', 0, -1), ['g'])
})

test('the reaper can page by next deadline: each pod is scored with it', async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  await activity.stamp('g', [
    { podUID: 'later', idleMs: 9_000, open: false },
    { podUID: 'held', idleMs: 500, open: true },
    { podUID: 'first', idleMs: 2_000, open: false },
  ])
  const order = await server.command('ZRANGE', 'carrel:{test}:deadlines', 0, -1)
  assert.deepEqual(
    order,
    ['first', 'held', 'later'].map((name) => `carrel:{test}:pod:${name}`),
  )
})

test('dead gateways leave no lease in a pod that lives on', async (t) => {
  const store = await begin(t)
  if (!store) return
  for (let index = 0; index < 5; index += 1) {
    await store.activity.stamp(`gateway-${index}`, [{ podUID: 'pod', idleMs: 60_000, open: true }])
    await store.advance(4_000)
  }
  const fields = (await store.server.command('HKEYS', 'carrel:{test}:pod:pod')) as string[]
  assert.deepEqual(
    fields.filter((field) => field.startsWith('lease:')),
    ['lease:gateway-4'],
  )
})

test("Redis' clock set an hour on closes nothing, and ends nothing later than the time it takes to notice", async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  await activity.stamp('g', [
    { podUID: 'streaming', idleMs: 2_000, open: true },
    { podUID: 'resting', idleMs: 60_000, open: false },
  ])
  server.freezeClock((nowMs += 3_600_000))
  assert.equal((await activity.close('streaming', 2_000, [])).closed, false)
  assert.deepEqual(await activity.close('resting', 60_000, ['g']), { closed: false, remainingMs: 60_000 })
  await store.advance(59_875)
  await activity.stamp('g', [])
  assert.deepEqual(await activity.close('resting', 60_000, ['g']), { closed: false, remainingMs: 125 })
  await store.advance(125)
  assert.deepEqual(await activity.close('resting', 60_000, ['g']), { closed: true })
})

test("Redis' clock set an hour back stops no idle window", async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  await activity.stamp('g', [{ podUID: 'pod', idleMs: 5_000, open: false }])
  await store.advance(2_000)
  server.freezeClock((nowMs -= 3_600_000))
  assert.deepEqual(await activity.close('pod', 5_000, []), { closed: false, remainingMs: 3_000 })
  await store.advance(3_000)
  assert.deepEqual(await activity.close('pod', 5_000, []), { closed: true })
})

test('after a jump, or a time in which nobody called, all gateways must be heard of anew', async (t) => {
  const store = await begin(t)
  if (!store) return
  const { activity, server } = store
  await activity.register('pod', 1_000)
  await store.advance(2_000)
  await activity.stamp('g', [])
  server.freezeClock((nowMs += LONGEST_STEP_MS))
  assert.deepEqual(await activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: 500, waitingFor: ['g'] })
  await activity.stamp('g', [])
  assert.deepEqual(await activity.close('pod', 1_000, ['g']), { closed: true })
})

for (const stepMs of [250, 1_500, LONGEST_STEP_MS - 125, LONGEST_STEP_MS, 10_000, 86_400_000, -250, -86_400_000]) {
  test(`whatever the clock does, no pod that is open closes while its gateway is heard of (a step of ${stepMs} ms)`, async (t) => {
    const store = await begin(t)
    if (!store) return
    const { activity, server } = store
    for (const sinceMs of [0, 500, 1_000]) {
      await activity.stamp('g', [{ podUID: 'pod', idleMs: 125, open: true }])
      await store.advance(sinceMs)
      server.freezeClock((nowMs += stepMs))
      assert.equal((await activity.close('pod', 125, ['g'])).closed, false)
    }
  })
}
