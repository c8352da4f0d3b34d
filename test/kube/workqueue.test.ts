import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { sleep } from '../../src/env/clock.ts'
import { WorkQueue } from '../../src/kube/workqueue.ts'
import { virtualEnv } from './quiet-env.ts'

const never = new AbortController().signal

type Step = { atMs: number; key: string; how: 'add' | 'after' | 'backed off'; delayMs: number }

const step: fc.Arbitrary<Step> = fc.record({
  atMs: fc.nat(60),
  key: fc.constantFrom('a', 'b', 'c'),
  how: fc.constantFrom('add', 'after', 'backed off'),
  delayMs: fc.nat(40),
})

/** Plays the steps against some workers; answers what each key saw. */
async function play(steps: readonly Step[], workers: number, workMs: number, seed: number) {
  const env = virtualEnv(seed)
  const queue = new WorkQueue(env, { baseDelayMs: 5, maxDelayMs: 20 })
  const stop = new AbortController()
  const running = new Set<string>()
  const startedAtMs = new Map<string, number>()
  let together = 0
  async function work(): Promise<void> {
    for (let key = await queue.get(stop.signal); key !== undefined; key = await queue.get(stop.signal)) {
      if (running.has(key)) together += 1
      running.add(key)
      startedAtMs.set(key, env.clock.monotonic())
      await sleep(env.clock, workMs * env.random.fraction())
      running.delete(key)
      queue.done(key)
    }
  }
  const all = Array.from({ length: workers }, work)
  for (const { atMs, key, how, delayMs } of steps) {
    env.clock.after(atMs, () => {
      if (how === 'add') queue.add(key)
      else if (how === 'after') queue.addAfter(key, delayMs)
      else queue.addBackedOff(key)
    })
  }
  await env.clock.run(10_000)
  stop.abort()
  await Promise.all(all)
  return { together, startedAtMs, left: queue.length }
}

describe('the work queue', () => {
  test('never has two workers on one key, and loses nothing', async () => {
    const runs = fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(30),
      fc.nat(),
      async (steps, workers, workMs, seed) => {
        const { together, startedAtMs, left } = await play(steps, workers, workMs, seed)
        assert.equal(together, 0, 'two workers had the same key')
        assert.equal(left, 0)
        for (const { atMs, key } of steps) {
          const last = startedAtMs.get(key)
          assert.ok(last !== undefined && last >= atMs, `${key} was added at ${atMs} and not worked on after that`)
        }
      },
    )
    await fc.assert(runs, { numRuns: 60 })
  })

  test('a key added many times waits once', async () => {
    const queue = new WorkQueue(virtualEnv())
    for (let times = 0; times < 5; times += 1) queue.add('a')
    assert.equal(queue.length, 1)
  })

  test('a key added while it is worked on comes again after done, once', async () => {
    const queue = new WorkQueue(virtualEnv())
    queue.add('a')
    assert.equal(await queue.get(never), 'a')
    queue.add('a')
    queue.add('a')
    assert.equal(queue.length, 0, 'not to a second worker')
    queue.done('a')
    assert.equal(queue.length, 1)
    assert.equal(await queue.get(never), 'a')
    queue.done('a')
    assert.equal(queue.length, 0)
  })

  test('keys come in the order they were added', async () => {
    const queue = new WorkQueue(virtualEnv())
    for (const key of ['c', 'a', 'b']) queue.add(key)
    assert.deepEqual([await queue.get(never), await queue.get(never), await queue.get(never)], ['c', 'a', 'b'])
  })

  for (const [first, second] of [
    [100, 50],
    [50, 100],
  ] as const) {
    test(`addAfter keeps the earliest: ${first} ms, then ${second} ms`, async () => {
      const env = virtualEnv()
      const queue = new WorkQueue(env)
      queue.addAfter('a', first)
      queue.addAfter('a', second)
      await env.clock.run(49)
      assert.equal(queue.length, 0)
      await env.clock.run(50)
      assert.equal(queue.length, 1)
      await queue.get(never)
      queue.done('a')
      await env.clock.run(1_000)
      assert.equal(queue.length, 0, 'the later time is forgotten')
    })
  }

  test('addAfter without a delay is add', () => {
    const queue = new WorkQueue(virtualEnv())
    queue.addAfter('a', 0)
    assert.equal(queue.length, 1)
  })

  test('stop drops what waits for its time', async () => {
    const env = virtualEnv()
    const queue = new WorkQueue(env)
    queue.addAfter('a', 10)
    queue.stop()
    await env.clock.run(100)
    assert.equal(queue.length, 0)
  })

  test('get answers undefined once stopped, and a stopped taker swallows no key', async () => {
    const queue = new WorkQueue(virtualEnv())
    const stop = new AbortController()
    const stopped = queue.get(stop.signal)
    const other = queue.get(never)
    stop.abort()
    assert.equal(await stopped, undefined)
    queue.add('a')
    assert.equal(await other, 'a')
    assert.equal(await queue.get(stop.signal), undefined)
  })
})

describe("a key's backoff", () => {
  /** When the key became ready, `times` failures in a row. */
  async function delays(times: number, between: (queue: WorkQueue, failure: number) => void = () => {}): Promise<number[]> {
    const env = virtualEnv()
    const queue = new WorkQueue(env, { baseDelayMs: 10, maxDelayMs: 100 })
    const seen: number[] = []
    for (let failure = 0; failure < times; failure += 1) {
      const fromMs = env.clock.monotonic()
      queue.addBackedOff('a')
      await env.clock.run(fromMs + 1_000, () => queue.length > 0)
      seen.push(env.clock.monotonic() - fromMs)
      await queue.get(never)
      queue.done('a')
      between(queue, failure)
    }
    return seen
  }

  test('doubles up to the longest, each with at most half of it as jitter', async () => {
    const expected = [10, 20, 40, 80, 100, 100]
    for (const [index, delayMs] of (await delays(6)).entries()) {
      const shortest = expected[index]!
      assert.ok(delayMs >= shortest && delayMs <= shortest * 1.5, `failure ${index}: ${delayMs} ms`)
    }
  })

  test('begins anew after forget', async () => {
    const seen = await delays(4, (queue, failure) => failure === 2 && queue.forget('a'))
    assert.ok(seen[2]! >= 40)
    assert.ok(seen[3]! <= 15)
  })

  test('does not overflow after very many failures', async () => {
    const seen = await delays(1_100)
    assert.ok(seen.at(-1)! <= 150)
  })
})
