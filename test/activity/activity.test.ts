import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_LEASE_MS, type Activity } from '../../src/activity/activity.ts'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { ACTIVITY_PATH, activityOverTransport, serveActivity } from '../../src/activity/over-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'

/** A store whose time stands still until the test moves it. */
class Fixture {
  nowMs = 1_000
  readonly activity: Activity

  constructor(over: 'memory' | 'transport') {
    const memory = new MemoryActivity({ monotonic: () => this.nowMs })
    this.activity = over === 'memory' ? memory : activityOverTransport(transportTo(memory))
  }
}

/** Through JSON, as the wire would. */
function transportTo(memory: Activity): Transport {
  return {
    async request({ path, body }) {
      const answer = await serveActivity(memory, path.slice(ACTIVITY_PATH.length + 1), JSON.parse(JSON.stringify(body)))
      return { ...answer, headers: {}, body: JSON.parse(JSON.stringify(answer.body)) as unknown }
    },
    watch: () => assert.fail('no watch'),
  }
}

for (const over of ['memory', 'transport'] as const) {
  describe(`the activity store, ${over}`, () => {
    test('closes at the deadline and not a millisecond before', async () => {
      const fixture = new Fixture(over)
      await fixture.activity.register('pod', 900)
      fixture.nowMs += 899
      assert.deepEqual(await fixture.activity.close('pod', 900), { closed: false, remainingMs: 1 })
      fixture.nowMs += 1
      assert.deepEqual(await fixture.activity.close('pod', 900), { closed: true })
    })

    test('a pod that was closed stays closed: a stamp afterwards answers closed', async () => {
      const fixture = new Fixture(over)
      await fixture.activity.register('pod', 10)
      fixture.nowMs += 10
      await fixture.activity.close('pod', 10)
      assert.deepEqual(await fixture.activity.stamp('g', [{ podUID: 'pod', idleMs: 10, open: true }]), [{ podUID: 'pod', closed: true }])
      assert.deepEqual(await fixture.activity.close('pod', 10), { closed: true })
    })

    test('an open stamp holds the pod for the lease and no longer: a dead gateway stops counting', async () => {
      const fixture = new Fixture(over)
      await fixture.activity.stamp('g', [{ podUID: 'pod', idleMs: 10, open: true }])
      fixture.nowMs += OPEN_LEASE_MS - 1
      assert.equal(await fixture.activity.isHeld('pod', 'other'), true)
      assert.equal(await fixture.activity.isHeld('pod', 'g'), false)
      assert.equal((await fixture.activity.close('pod', 10)).closed, false)
      fixture.nowMs += 1
      assert.equal((await fixture.activity.close('pod', 10)).closed, true)
    })

    test("one gateway's end does not end another's stream", async () => {
      const fixture = new Fixture(over)
      await fixture.activity.stamp('a', [{ podUID: 'pod', idleMs: 10, open: true }])
      await fixture.activity.stamp('b', [{ podUID: 'pod', idleMs: 10, open: false }])
      fixture.nowMs += 1_000
      assert.equal((await fixture.activity.close('pod', 10)).closed, false)
    })

    test('idle counts from the moment the last call ended, however late the store is told', async () => {
      const fixture = new Fixture(over)
      await fixture.activity.stamp('g', [{ podUID: 'pod', idleMs: 1_000, open: true }])
      fixture.nowMs += 700
      const [answer] = await fixture.activity.stamp('g', [{ podUID: 'pod', idleMs: 1_000, open: false, agoMs: 200 }])
      assert.deepEqual(answer, { podUID: 'pod', closed: false, remainingMs: 800 })
    })

    test('a store that was emptied closes nothing before a full idle window has passed', async () => {
      const fixture = new Fixture(over)
      assert.deepEqual(await fixture.activity.close('pod', 500), { closed: false, remainingMs: 500 })
    })

    test('what was forgotten is unknown', async () => {
      const fixture = new Fixture(over)
      await fixture.activity.register('pod', 10)
      fixture.nowMs += 20
      await fixture.activity.forget(['pod'])
      assert.deepEqual(await fixture.activity.close('pod', 10), { closed: false, remainingMs: 10 })
    })
  })
}
