import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { FORGET_AFTER_MS, HEARD_MS, OPEN_LEASE_MS, type Activity, type Stamp } from '../../src/activity/activity.ts'

/** A store, empty, whose time stands still until the test moves it. */
export interface StoreUnderTest {
  /** Of a store in memory another one once it was emptied. */
  readonly activity: Activity
  /** Moves the store's time. Multiples of 125 ms, which every clock here can show exactly. */
  advance(ms: number): Promise<void>
  /** All is lost, as when somebody flushes it. */
  empty(): Promise<void>
}

const IDLE_MS = 10_000
const open = (podUID = 'pod', idleMs = IDLE_MS): Stamp => ({ podUID, idleMs, open: true })
const released = (agoMs: number, idleMs = IDLE_MS): Stamp => ({ podUID: 'pod', idleMs, open: false, agoMs })

/** What the port promises, whatever keeps it. `begin` answers undefined after it has skipped the test. */
export function portSuite(kind: string, begin: (t: TestContext) => Promise<StoreUnderTest | undefined>): void {
  function check(behaviour: string, body: (store: StoreUnderTest) => Promise<void>): void {
    void test(behaviour, async (t) => {
      const store = await begin(t)
      if (store) await body(store)
    })
  }

  void describe(`the activity store, ${kind}`, () => {
    check('closes at the deadline and not before', async ({ activity, advance }) => {
      await activity.register('pod', IDLE_MS)
      await advance(IDLE_MS - 125)
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: false, remainingMs: 125 })
      await advance(125)
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: true })
    })

    check('a pod that was closed stays closed: whoever comes afterwards is told', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await advance(1_000)
      await activity.close('pod', 1_000, [])
      assert.deepEqual(await activity.touch('g', open()), { podUID: 'pod', closed: true })
      assert.deepEqual(await activity.stamp('g', [open()]), [{ podUID: 'pod', closed: true }])
      await activity.register('pod', 1_000)
      assert.deepEqual(await activity.close('pod', 1_000, ['never heard of']), { closed: true })
    })

    check('an open stamp holds the pod for the lease and no longer: a dead gateway stops counting', async ({ activity, advance }) => {
      await activity.stamp('g', [open('pod', 1_000)])
      await advance(OPEN_LEASE_MS - 125)
      assert.equal(await activity.isHeld('pod', 'other'), true)
      assert.equal(await activity.isHeld('pod', 'g'), false)
      assert.deepEqual(await activity.close('pod', 1_000, []), { closed: false, remainingMs: 125 })
      await advance(125)
      assert.equal(await activity.isHeld('pod', 'other'), false)
      assert.deepEqual(await activity.close('pod', 1_000, []), { closed: true })
    })

    check('an open stamp promises the longer of idle time and lease', async ({ activity }) => {
      assert.deepEqual(await activity.touch('g', open('long', 9_000)), { podUID: 'long', closed: false, remainingMs: 9_000 })
      assert.deepEqual(await activity.touch('g', open('short', 125)), { podUID: 'short', closed: false, remainingMs: OPEN_LEASE_MS })
    })

    check("one gateway's end does not end another's stream", async ({ activity, advance }) => {
      await activity.stamp('a', [open('pod', 500)])
      await activity.stamp('b', [{ ...released(0), idleMs: 500 }])
      await advance(1_000)
      assert.deepEqual(await activity.close('pod', 500, []), { closed: false, remainingMs: OPEN_LEASE_MS - 1_000 })
    })

    check('idle counts from the moment the last call ended, however late the store is told', async ({ activity, advance }) => {
      await activity.stamp('g', [open()])
      await advance(2_000)
      const [answer] = await activity.stamp('g', [released(750)])
      assert.deepEqual(answer, { podUID: 'pod', closed: false, remainingMs: IDLE_MS - 750 })
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: false, remainingMs: IDLE_MS - 750 })
    })

    check('old news takes nothing back: the latest activity counts', async ({ activity, advance }) => {
      await activity.stamp('a', [open()])
      await advance(2_000)
      await activity.stamp('b', [released(0)])
      await activity.stamp('a', [released(1_500)])
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: false, remainingMs: IDLE_MS })
    })

    check('the idle time that was named last counts', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await activity.touch('g', released(0, 2_000))
      await advance(1_500)
      assert.deepEqual(await activity.close('pod', 1_000, []), { closed: false, remainingMs: 500 })
    })

    check('one stamp tells of many pods, answered in their order', async ({ activity, advance }) => {
      await activity.register('closed', 125)
      await advance(125)
      await activity.close('closed', 125, [])
      const answers = await activity.stamp('g', [open('first'), open('closed'), { ...released(1_000), podUID: 'last' }])
      assert.deepEqual(answers, [
        { podUID: 'first', closed: false, remainingMs: IDLE_MS },
        { podUID: 'closed', closed: true },
        { podUID: 'last', closed: false, remainingMs: IDLE_MS },
      ])
    })

    check('closes only while each named gateway is heard of; a bare heartbeat is enough', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await advance(1_000)
      await activity.stamp('a', [])
      const waiting = await activity.close('pod', 1_000, ['a', 'b'])
      assert.deepEqual(waiting, { closed: false, remainingMs: 500, waitingFor: ['b'] })
      await advance(HEARD_MS - 125)
      await activity.stamp('b', [])
      await advance(125)
      const late = await activity.close('pod', 1_000, ['a', 'b'])
      assert.deepEqual(late, { closed: false, remainingMs: 500, waitingFor: ['a'] })
      await activity.stamp('a', [])
      assert.deepEqual(await activity.close('pod', 1_000, ['a', 'b']), { closed: true })
    })

    check(
      'a touch tells of one pod and is no heartbeat: what else the gateway has open is not known by it',
      async ({ activity, advance }) => {
        await activity.stamp('g', [open('pod', 1_000)])
        await advance(OPEN_LEASE_MS)
        await activity.touch('g', open('another'))
        assert.deepEqual(await activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: 500, waitingFor: ['g'] })
        await activity.stamp('g', [open('pod', 1_000), open('another')])
        assert.deepEqual(await activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: OPEN_LEASE_MS })
      },
    )

    check('a pod that is not known gets a full idle window', async ({ activity, advance }) => {
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: false, remainingMs: IDLE_MS })
      await advance(1_000)
      assert.deepEqual(await activity.touch('g', released(5_000)), { podUID: 'pod', closed: false, remainingMs: IDLE_MS - 1_000 })
    })

    check('registering a pod that is known changes nothing', async ({ activity, advance }) => {
      await activity.register('pod', IDLE_MS)
      await advance(1_000)
      await activity.register('pod', 60_000)
      assert.deepEqual(await activity.close('pod', IDLE_MS, []), { closed: false, remainingMs: IDLE_MS - 1_000 })
    })

    check('an emptied store closes nothing before a full window has passed and every gateway was heard of', async (store) => {
      const { advance, empty } = store
      await store.activity.stamp('g', [{ ...released(0), idleMs: 1_000 }])
      await advance(2_000)
      await empty()
      assert.deepEqual(await store.activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: 1_000 })
      await advance(1_000)
      assert.deepEqual(await store.activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: 500, waitingFor: ['g'] })
      await store.activity.stamp('g', [])
      assert.deepEqual(await store.activity.close('pod', 1_000, ['g']), { closed: true })
    })

    check('a stream that was open when the store was emptied is held again by the first heartbeat', async (store) => {
      const { advance, empty } = store
      await store.activity.stamp('g', [open('pod', 1_000)])
      await empty()
      await store.activity.close('pod', 1_000, ['g'])
      await advance(2_000)
      assert.equal((await store.activity.close('pod', 1_000, ['g'])).closed, false)
      await store.activity.stamp('g', [open('pod', 1_000)])
      assert.deepEqual(await store.activity.close('pod', 1_000, ['g']), { closed: false, remainingMs: OPEN_LEASE_MS })
    })

    check('what was forgotten is unknown', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await advance(1_000)
      await activity.close('pod', 1_000, [])
      await activity.forget(['pod', 'and one that never was'])
      await activity.forget([])
      assert.deepEqual(await activity.close('pod', 1_000, []), { closed: false, remainingMs: 1_000 })
    })

    check('looking tells who is active, who is idle and for how long, and who is not known', async ({ activity, advance }) => {
      await activity.register('closed', 125)
      await activity.stamp('g', [released(0), { ...open('streaming'), idleMs: 500 }])
      await advance(1_000)
      await activity.close('closed', 125, [])
      assert.deepEqual(await activity.look(['streaming', 'never heard of', 'pod', 'closed']), [
        { podUID: 'streaming', state: 'active' },
        { podUID: 'never heard of', state: 'unknown' },
        { podUID: 'pod', state: 'idle', idleForMs: 1_000, remainingMs: IDLE_MS - 1_000 },
        { podUID: 'closed', state: 'idle', idleForMs: 1_000, remainingMs: 0 },
      ])
      assert.deepEqual(await activity.look([]), [])
    })

    check('a holder that went silent makes nobody active', async ({ activity, advance }) => {
      await activity.stamp('g', [open()])
      await advance(OPEN_LEASE_MS)
      const [seen] = await activity.look(['pod'])
      assert.deepEqual(seen, { podUID: 'pod', state: 'idle', idleForMs: OPEN_LEASE_MS, remainingMs: IDLE_MS - OPEN_LEASE_MS })
    })

    check('looking is no use: it neither lengthens a window nor makes a pod known', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await advance(1_000)
      await activity.look(['pod', 'new'])
      assert.deepEqual(await activity.close('pod', 1_000, []), { closed: true })
      await advance(1_000)
      assert.deepEqual(await activity.close('new', 1_000, []), { closed: false, remainingMs: 1_000 })
    })

    check('a closed pod is remembered for an hour, whatever gateways believe meanwhile', async ({ activity, advance }) => {
      await activity.register('pod', 1_000)
      await advance(1_000)
      await activity.close('pod', 1_000, [])
      await advance(FORGET_AFTER_MS - 1_000)
      await activity.stamp('g', [])
      assert.deepEqual(await activity.touch('g', open()), { podUID: 'pod', closed: true })
    })
  })
}
