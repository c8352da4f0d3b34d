import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'
import { assert as check, asyncProperty, constantFrom, integer, array, record, type Arbitrary } from 'fast-check'
import { OPEN_LEASE_MS, type Activity, type CloseAnswer, type StampAnswer } from '../../src/activity/activity.ts'
import { MemoryActivity } from '../../src/activity/memory.ts'
import type { RedisActivity } from '../../src/activity/redis.ts'
import { LONGEST_STEP_MS } from '../../src/activity/redis/scripts.ts'
import { connectTo } from '../kit/redis-activity.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'

const IDLE_MS = 250
const POD = 'pod'
const RUNS = 300

/** What one of three processes does at once with the others. */
interface Move {
  who: 'gateway a' | 'gateway b' | 'reaper'
  /** Of a gateway. */
  does: 'open' | 'release' | 'heartbeat'
}

/** All moves of a round race; then the store's time goes on. */
interface Round {
  moves: Move[]
  waitMs: number
}

const round: Arbitrary<Round> = record({
  moves: array(
    record({ who: constantFrom('gateway a', 'gateway b', 'reaper', 'reaper'), does: constantFrom('open', 'release', 'heartbeat') }),
    { minLength: 1, maxLength: 6 },
  ) as Arbitrary<Move[]>,
  waitMs: integer({ min: 0, max: 16 }).map((eighths) => eighths * 125),
})

interface Outcome {
  move: Move
  answer: StampAnswer | CloseAnswer | undefined
}

/** Plays the rounds and checks after each what must hold in every order. */
async function play(rounds: Round[], processes: Record<Move['who'], Activity>, advance: (ms: number) => Promise<void>): Promise<void> {
  const open = new Set<string>()
  let closed = false
  await processes.reaper.register(POD, IDLE_MS)
  for (const { moves, waitMs } of rounds) {
    const outcomes = await Promise.all(moves.map((move) => make(move, processes[move.who], open)))
    closed = judge(outcomes, closed)
    await advance(waitMs)
  }
}

async function make(move: Move, store: Activity, open: Set<string>): Promise<Outcome> {
  if (move.who === 'reaper') return { move, answer: await store.close(POD, IDLE_MS, ['gateway a', 'gateway b']) }
  if (move.does === 'heartbeat') {
    const stamps = open.has(move.who) ? [{ podUID: POD, idleMs: IDLE_MS, open: true }] : []
    return { move, answer: (await store.stamp(move.who, stamps))[0] }
  }
  if (move.does === 'open') open.add(move.who)
  else open.delete(move.who)
  return { move, answer: await store.touch(move.who, { podUID: POD, idleMs: IDLE_MS, open: move.does === 'open' }) }
}

/**
 * Within one round all is at one moment of the store's time, so that a use that was taken (not told `closed`) came before no
 * close that succeeded: taken and closed in the same round is what the fence forbids. And closed is for ever.
 */
function judge(outcomes: Outcome[], closedBefore: boolean): boolean {
  const closedNow = outcomes.some(({ move, answer }) => move.who === 'reaper' && answer?.closed)
  const taken = outcomes.filter(({ move, answer }) => move.who !== 'reaper' && answer?.closed === false)
  const refused = outcomes.filter(({ move, answer }) => move.who !== 'reaper' && answer?.closed)
  if (closedBefore || closedNow) assert.deepEqual(taken, [], 'used after it was closed')
  if (!closedBefore && !closedNow) assert.deepEqual(refused, [], 'told closed before it was')
  if (closedBefore)
    assert.ok(
      outcomes.every(({ move, answer }) => move.who !== 'reaper' || answer?.closed),
      'a closed pod was opened again',
    )
  return closedBefore || closedNow
}

void describe('close against use, from several connections at once', () => {
  let server: RedisServer | undefined
  let connections: RedisActivity[] = []
  let nowMs = 1_000_000

  before(async () => {
    if (!process.env['CARREL_TEST_REDIS'] || !process.env['CARREL_TEST_FAKETIME']) return
    server = await RedisServer.start({ faketime: true })
    server.freezeClock(nowMs)
    const opened = await Promise.all([0, 1, 2].map(() => connectTo(server!)))
    connections = opened.map(({ activity }) => activity)
  })
  after(async () => {
    for (const connection of connections) connection.disconnect()
    await server?.stop()
  })

  test(`in memory, ${RUNS} schedules`, async () => {
    const property = asyncProperty(array(round, { minLength: 1, maxLength: 12 }), async (rounds) => {
      let now = 0
      const store = new MemoryActivity({ monotonic: () => now })
      await play(rounds, { 'gateway a': store, 'gateway b': store, reaper: store }, async (ms) => void (now += ms))
    })
    await check(property, { numRuns: RUNS })
  })

  test(`in Redis, ${RUNS} schedules`, async (t: TestContext) => {
    if (!needs(t, 'CARREL_TEST_REDIS') || !needs(t, 'CARREL_TEST_FAKETIME')) return
    const [a, b, reaper] = connections as [RedisActivity, RedisActivity, RedisActivity]
    const property = asyncProperty(array(round, { minLength: 1, maxLength: 12 }), async (rounds) => {
      await server!.empty()
      await play(rounds, { 'gateway a': a, 'gateway b': b, reaper }, async (ms) => {
        assert.ok(ms < LONGEST_STEP_MS)
        server!.freezeClock((nowMs += ms))
      })
    })
    await check(property, { numRuns: RUNS })
  })

  test('the schedules do meet the edge: pods are closed in some, and saved at the last moment in others', async () => {
    let closed = 0
    let saved = 0
    const property = asyncProperty(array(round, { minLength: 1, maxLength: 12 }), async (rounds) => {
      let now = 0
      const store = new MemoryActivity({ monotonic: () => now })
      const counting: Activity = Object.assign(Object.create(store) as Activity, {
        close: async (...given: Parameters<Activity['close']>) => {
          const answer = await store.close(...given)
          if (answer.closed) closed += 1
          else if (answer.remainingMs === OPEN_LEASE_MS) saved += 1
          return answer
        },
        stamp: (...given: Parameters<Activity['stamp']>) => store.stamp(...given),
        touch: (...given: Parameters<Activity['touch']>) => store.touch(...given),
        register: (...given: Parameters<Activity['register']>) => store.register(...given),
      })
      await play(rounds, { 'gateway a': counting, 'gateway b': counting, reaper: counting }, async (ms) => void (now += ms))
    })
    await check(property, { numRuns: RUNS, seed: 1 })
    assert.ok(closed > 20 && saved > 20, `closed ${closed}, saved ${saved}`)
  })
})
