import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FORGET_AFTER_MS, HEARD_MS, OPEN_LEASE_MS, type Activity } from '../../src/activity/activity.ts'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { ACTIVITY_PATH, activityOverTransport, serveActivity } from '../../src/activity/over-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { portSuite, type StoreUnderTest } from './port-suite.ts'

/** Through JSON, as the wire would. */
function transportTo(memory: () => Activity): Transport {
  return {
    async request({ path, body }) {
      const answer = await serveActivity(memory(), path.slice(ACTIVITY_PATH.length + 1), JSON.parse(JSON.stringify(body)))
      return { ...answer, headers: {}, body: JSON.parse(JSON.stringify(answer.body)) as unknown }
    },
    watch: () => assert.fail('no watch'),
  }
}

function inMemory(over: 'memory' | 'transport'): StoreUnderTest {
  let nowMs = 1_000
  const fresh = (): MemoryActivity => new MemoryActivity({ monotonic: () => nowMs })
  let memory = fresh()
  const transport = activityOverTransport(transportTo(() => memory))
  return {
    get activity() {
      return over === 'memory' ? memory : transport
    },
    advance: async (ms) => void (nowMs += ms),
    empty: async () => void (memory = fresh()),
  }
}

portSuite('in memory', async () => inMemory('memory'))
portSuite('in memory, over the transport', async () => inMemory('transport'))

test('what a gateway had open at its heartbeat is held for as long as it counts as heard', () => {
  assert.ok(HEARD_MS <= OPEN_LEASE_MS)
})

test('in memory it closes at the very millisecond', async () => {
  let nowMs = 0
  const activity = new MemoryActivity({ monotonic: () => nowMs })
  await activity.register('pod', 900)
  nowMs = 899
  assert.deepEqual(await activity.close('pod', 900, []), { closed: false, remainingMs: 1 })
  nowMs = 900
  assert.deepEqual(await activity.close('pod', 900, []), { closed: true })
})

test('in memory nothing stays behind: what nobody forgets goes an hour after its deadline', async () => {
  let nowMs = 0
  const activity = new MemoryActivity({ monotonic: () => nowMs })
  await activity.touch('g', { podUID: 'late', idleMs: 1_000, open: false })
  nowMs = 1_000 + FORGET_AFTER_MS
  await activity.forget([])
  assert.equal(activity.size, 1)
  nowMs += 1
  await activity.forget([])
  assert.equal(activity.size, 0)
})

test('what the transport brings is checked: a body of another shape is a bad request', async () => {
  const memory = new MemoryActivity({ monotonic: () => 0 })
  for (const [verb, body] of [
    ['close', { podUID: 'pod', idleMs: 1 }],
    ['touch', { holder: 'g', stamp: { podUID: 'pod' } }],
    ['stamp', { holder: 'g', stamps: [{ podUID: 'pod', idleMs: 1, open: true, agoMs: -1 }] }],
  ] as const) {
    assert.equal((await serveActivity(memory, verb, body)).status, 400, verb)
  }
})
