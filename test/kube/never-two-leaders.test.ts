import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/env/virtual.ts'
import { Electorate, type Network, type Voter } from './electorate.ts'

/**
 * Processes come and go, are paused, killed and cut off, at random; their clocks run up to a tenth apart, their wall clocks
 * anywhere. At no instant do two say that they lead; left alone, one leads again.
 */
test('never do two lead at once, whatever happens to processes, clocks and network', async () => {
  let terms = 0
  let losses = 0
  for (let seed = 1; seed <= Number(process.env['CARREL_TEST_SEEDS'] ?? 40); seed += 1) {
    const world = new Electorate(seed)
    await world.start()
    const trouble = new Trouble(world, seed)
    for (let count = 0; count < 3; count += 1) trouble.join()
    for (let step = 0; step < 60; step += 1) {
      trouble.happen()
      await passes(world, trouble.randomMs(3_000), seed)
    }
    for (const voter of world.voters) heal(voter)
    trouble.join()
    await passes(world, 10_000, seed)
    assert.equal(world.leaders().length, 1, `seed ${seed}: in peace, one leads`)
    terms += world.voters.filter(({ leadsSinceMs }) => leadsSinceMs !== undefined).length
    losses += world.voters.filter(({ outcome }) => outcome === 'lost').length
    for (const voter of world.voters) voter.kill()
  }
  assert.ok(terms > 200 && losses > 50, `the trouble was real: ${terms} terms, ${losses} lost`)
})

/** So much time; all the while, at most one leads. */
async function passes(world: Electorate, ms: number, seed: number): Promise<void> {
  const untilMs = world.clock.monotonic() + ms
  while (world.clock.monotonic() < untilMs) {
    await world.advance(20)
    const names = world.leaders().map(({ name }) => name)
    assert.ok(names.length <= 1, `seed ${seed} at ${world.clock.monotonic()} ms: ${names.join(' and ')} lead`)
  }
}

class Trouble {
  readonly #world: Electorate
  readonly #random: ReturnType<typeof seededRandom>

  constructor(world: Electorate, seed: number) {
    this.#world = world
    this.#random = seededRandom(`${seed}/trouble`)
  }

  randomMs(longestMs: number): number {
    return this.#random.fraction() * longestMs
  }

  join(): void {
    this.#world.join({}, 0.95 + this.#random.fraction() / 10).run()
  }

  /** Something, to somebody; most often to the leader, where trouble is worth it. */
  happen(): void {
    const living = this.#world.voters.filter(({ isDead, outcome }) => !isDead && outcome === undefined)
    const leader = this.#random.fraction() < 0.6 ? this.#world.leaders()[0] : undefined
    const victim = leader ?? this.#pick(living)
    if (victim) this.#pick(this.#troubles)!(victim, living)
    if (living.length < 3) this.join()
  }

  readonly #troubles: ((victim: Voter, living: Voter[]) => void)[] = [
    (victim) => (victim.network = this.#pick<Network>(['refused', 'lost', 'deaf'])!),
    (victim) => (victim.network = this.#pick<Network>(['refused', 'lost', 'deaf'])!),
    (victim) => victim.pause(),
    (_, living) => (this.#pick(living)!.pausesInNextWrite = true),
    (_, living) => (this.#pick(living)!.pausesInNextWrite = true),
    (victim) => victim.kill(),
    (victim) => victim.end.abort(),
    (victim) => (victim.wallOffsetMs = this.randomMs(10_000_000) - 5_000_000),
    (victim) => (victim.lagMs = this.randomMs(3_000)),
    (_, living) => living.forEach(heal),
    (_, living) => living.forEach(heal),
  ]

  #pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random.fraction() * items.length)]
  }
}

function heal(voter: Voter): void {
  if (voter.isDead) return
  voter.network = 'up'
  voter.lagMs = 2
  voter.resume()
}
