import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Activity, Stamp } from '../../src/activity/activity.ts'
import { ActivityUnavailableError } from '../../src/activity/errors.ts'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import { Holds } from '../../src/gateway/sessions/holds.ts'

/** A gateway's holds on a virtual clock, over a store that can be away, and what was told to it. */
class Fixture {
  readonly clock = new VirtualClock(seededRandom(1))
  readonly store = new MemoryActivity(this.clock)
  readonly told: { verb: 'stamp' | 'touch'; atMs: number; stamps: readonly Stamp[] }[] = []
  readonly warnings: string[] = []
  away = false
  readonly holds: Holds
  readonly #end = new AbortController()

  constructor() {
    const unused = (): never => assert.fail('not used')
    const note = (verb: 'stamp' | 'touch', stamps: readonly Stamp[]): void => {
      if (this.away) throw new ActivityUnavailableError('away')
      this.told.push({ verb, atMs: this.clock.monotonic(), stamps })
    }
    const activity: Activity = {
      stamp: async (holder, stamps) => (note('stamp', stamps), this.store.stamp(holder, stamps)),
      touch: async (holder, stamp) => (note('touch', [stamp]), this.store.touch(holder, stamp)),
      close: unused,
      isHeld: unused,
      look: unused,
      register: unused,
      forget: unused,
    }
    const log = { debug: unused, info() {}, warn: (_: object, message: string) => void this.warnings.push(message), error: unused }
    const env = {
      clock: this.clock,
      random: seededRandom(2),
      log,
      activity,
      kubernetes: { request: unused, watch: unused },
      dial: { connect: unused },
    }
    this.holds = new Holds(env, 'g')
    void this.holds.run(this.#end.signal)
  }

  async advance(ms: number): Promise<void> {
    await this.clock.run(this.clock.monotonic() + ms)
  }

  end(): void {
    this.#end.abort()
  }
}

test('a gateway with nothing open is heard of each second', async () => {
  const fixture = new Fixture()
  const { told } = fixture
  await fixture.advance(3_500)
  assert.deepEqual(
    told,
    [1_000, 2_000, 3_000].map((atMs) => ({ verb: 'stamp', atMs, stamps: [] })),
  )
  fixture.end()
})

test('every heartbeat names all that is open and every release that was not told; a call alone is a touch', async () => {
  const fixture = new Fixture()
  const { holds, told } = fixture
  await holds.hold('long', 60_000)
  await holds.hold('short', 60_000)
  holds.release('short')
  await fixture.advance(1_000)
  const names = ({ stamps }: { stamps: readonly Stamp[] }): string[] =>
    stamps.map(({ podUID, open }) => `${podUID} ${open ? 'open' : 'released'}`)
  assert.deepEqual(
    told.slice(0, 2).map(({ verb }) => verb),
    ['touch', 'touch'],
  )
  const first = told[2]!
  assert.deepEqual([first.verb, ...names(first)], ['stamp', 'long open', 'short released'])
  await fixture.advance(1_000)
  assert.deepEqual(names(told.at(-1)!), ['long open'], 'a release is told once')
  fixture.end()
})

test('a live session is served without asking while its deadline is far, and only then', async () => {
  const fixture = new Fixture()
  const { holds, told } = fixture
  const touches = (): number => told.filter(({ verb }) => verb === 'touch').length
  await holds.hold('pod', 10_000)
  holds.release('pod')
  await fixture.advance(5_900)
  await holds.hold('pod', 10_000)
  assert.equal(touches(), 1, '4.1 s before its deadline')
  holds.release('pod')
  await fixture.advance(6_000)
  await holds.hold('pod', 10_000)
  assert.equal(touches(), 2, '4.0 s before its deadline')
  fixture.end()
})

test('what began without asking is safe though no stamp gets through any more: at its deadline this gateway is unheard', async () => {
  const fixture = new Fixture()
  const { holds, store } = fixture
  await holds.hold('pod', 10_000)
  holds.release('pod')
  await fixture.advance(5_900)
  assert.equal(await holds.hold('pod', 10_000), 'held')
  fixture.away = true
  for (let elapsedMs = 0; elapsedMs < 20_000; elapsedMs += 100) {
    await fixture.advance(100)
    assert.equal((await store.close('pod', 10_000, ['g'])).closed, false)
  }
  fixture.away = false
  await fixture.advance(1_100)
  const answer = await store.close('pod', 10_000, ['g'])
  assert.ok(!answer.closed && answer.waitingFor === undefined, 'heard of again, and the pod held with the same step')
  fixture.end()
})

test('with the store away: sessions far from their deadline are served, others are refused, and it is said once', async () => {
  const fixture = new Fixture()
  const { holds, warnings } = fixture
  await holds.hold('live', 60_000)
  holds.release('live')
  await fixture.advance(2_000)
  fixture.away = true
  await fixture.advance(10_000)
  assert.equal(await holds.hold('live', 60_000), 'held')
  await assert.rejects(holds.hold('new', 60_000), ActivityUnavailableError)
  await fixture.advance(10_000)
  assert.equal(warnings.length, 1)
  fixture.away = false
  await fixture.advance(2_000)
  assert.equal(await holds.hold('new', 60_000), 'held')
  fixture.end()
})

test('a pod that the reaper closed is refused for ever, without asking again', async () => {
  const fixture = new Fixture()
  const { holds, store, told } = fixture
  await store.register('pod', 1_000)
  await fixture.advance(1_000)
  await store.close('pod', 1_000, [])
  assert.equal(await holds.hold('pod', 1_000), 'closed')
  const before = told.length
  assert.equal(await holds.hold('pod', 1_000), 'closed')
  assert.equal(told.length, before)
  fixture.end()
})
