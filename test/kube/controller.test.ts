import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { sleep } from '../../src/env/clock.ts'
import { again, DONE, enqueueOn, runController, type Outcome } from '../../src/kube/controller.ts'
import { ApiError } from '../../src/kube/errors.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { Store } from '../../src/kube/store.ts'
import { WorkQueue } from '../../src/kube/workqueue.ts'
import { thing } from './objects.ts'
import { virtualEnv } from './quiet-env.ts'

/** A running controller, and when it reconciled which key. */
function controlled(
  t: TestContext,
  reconcile: (key: string, nth: number) => Outcome | Promise<Outcome>,
  options: { workers?: number } = {},
) {
  const env = virtualEnv()
  const queue = new WorkQueue(env)
  const calls: { key: string; atMs: number }[] = []
  const end = new AbortController()
  const counted = async (key: string): Promise<Outcome> => {
    calls.push({ key, atMs: env.clock.monotonic() })
    return reconcile(key, calls.length)
  }
  const ended = runController({ env, name: 'thing', queue, ...options, reconcile: counted }, end.signal)
  t.after(() => end.abort())
  return { env, queue, calls, end, ended, times: () => calls.map(({ atMs }) => atMs) }
}

describe('a reconcile', () => {
  test('that is done is not called again before something changes', async (t) => {
    const { env, queue, calls } = controlled(t, () => DONE)
    queue.add('a')
    await env.clock.run(3_600_000)
    assert.equal(calls.length, 1)
    queue.add('a')
    await env.clock.run(3_600_001)
    assert.equal(calls.length, 2)
  })

  test('that asks to look again is called again just then', async (t) => {
    const { env, queue, times } = controlled(t, (_key, nth) => (nth < 3 ? again(5_000) : DONE))
    queue.add('a')
    await env.clock.run(60_000)
    assert.deepEqual(times(), [0, 5_000, 10_000])
  })

  test('that throws is called again, ever later, and from the shortest pause on after a success', async (t) => {
    const { env, queue, times } = controlled(t, (_key, nth) => {
      if (nth !== 6) throw new Error(`failure ${nth}`)
      return again(1_000)
    })
    queue.add('a')
    await env.clock.run(2_000)
    const pauses = times().map((atMs, index) => atMs - (times()[index - 1] ?? 0))
    for (let index = 1; index <= 5; index += 1) {
      const shortestMs = 10 * 2 ** (index - 1)
      assert.ok(pauses[index]! >= shortestMs && pauses[index]! <= shortestMs * 1.5, `pause ${index}: ${pauses[index]}`)
    }
    assert.ok(Math.abs(pauses[6]! - 1_000) < 1e-6, `after the success: ${pauses[6]}`)
    assert.ok(pauses[7]! >= 10 && pauses[7]! <= 15, `the first failure after it: ${pauses[7]}`)
  })

  test('that the server told when to come back is called then', async (t) => {
    const { env, queue, times } = controlled(t, (_key, nth) => {
      if (nth === 1) throw new ApiError(429, 'TooManyRequests', 'slow down', 8_000)
      return DONE
    })
    queue.add('a')
    await env.clock.run(60_000)
    assert.deepEqual(times(), [0, 8_000])
  })

  test('that fails does not hold up other keys', async (t) => {
    const { env, queue, calls } = controlled(t, (key) => {
      if (key === 'bad') throw new Error('always')
      return DONE
    })
    for (const key of ['bad', 'a', 'b']) queue.add(key)
    await env.clock.run(0)
    assert.deepEqual(
      calls.map(({ key }) => key),
      ['bad', 'a', 'b'],
    )
  })

  test('during which its key changes is called once more after it', async (t) => {
    const { env, queue, times } = controlled(t, async () => {
      await sleep(env.clock, 100)
      return DONE
    })
    queue.add('a')
    await env.clock.run(50)
    for (let count = 0; count < 3; count += 1) queue.add('a')
    await env.clock.run(10_000)
    assert.deepEqual(times(), [0, 100])
  })

  test('failure is a warning; a lost compare-and-set is everyday life', async (t) => {
    const failures = [new Error('broken'), new ApiError(409, 'Conflict', 'moved')]
    const { env, queue } = controlled(t, () => {
      const failure = failures.shift()
      if (failure) throw failure
      return DONE
    })
    queue.add('a')
    await env.clock.run(1_000)
    assert.deepEqual(env.logged, ['reconcile failed; it will be tried again', 'reconcile lost a race; it looks again'])
  })
})

test('workers share the keys, never one key', async (t) => {
  const open = new Set<string>()
  let most = 0
  const { env, queue, calls } = controlled(
    t,
    async (key) => {
      assert.ok(!open.has(key), `${key} is worked on twice at once`)
      open.add(key)
      most = Math.max(most, open.size)
      await sleep(env.clock, 100)
      open.delete(key)
      return DONE
    },
    { workers: 3 },
  )
  for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key)
  await env.clock.run(50)
  for (const key of ['a', 'b', 'c']) queue.add(key)
  await env.clock.run(10_000)
  assert.equal(most, 3)
  assert.equal(calls.length, 8)
  assert.deepEqual(env.logged, [])
})

test('a stop lets the running reconcile end, takes no other, and leaves no timer', async (t) => {
  const { env, queue, calls, end, ended } = controlled(t, async (key) => {
    if (key === 'later') return again(3_600_000)
    await sleep(env.clock, 100)
    return DONE
  })
  let hasEnded = false
  void ended.then(() => (hasEnded = true))
  for (const key of ['later', 'slow', 'never']) queue.add(key)
  await env.clock.run(50)
  end.abort()
  await env.clock.run(99)
  assert.equal(hasEnded, false)
  await env.clock.run(101)
  assert.equal(hasEnded, true)
  await env.clock.run(7_200_000)
  assert.deepEqual(
    calls.map(({ key }) => key),
    ['later', 'slow'],
  )
  assert.equal(queue.length, 1, 'what nobody took is still there, and nothing came on top')
})

describe('enqueueOn', () => {
  test('enqueues what is there, then every change, until it is stopped', async () => {
    const queue = new WorkQueue(virtualEnv())
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('there', 1))
    const stop = enqueueOn(store, queue)
    store.apply('ADDED', thing('new', 2))
    store.apply('DELETED', thing('there', 3))
    const taken = [await queue.get(new AbortController().signal), await queue.get(new AbortController().signal)]
    assert.deepEqual(taken, ['team/there', 'team/new'])
    assert.equal(queue.length, 0)
    stop()
    store.apply('MODIFIED', thing('new', 4))
    for (const key of taken) queue.done(key!)
    assert.equal(queue.length, 0)
  })

  test('enqueues the keys that an object speaks of, which may be none', () => {
    const queue = new WorkQueue(virtualEnv())
    const store = new Store<KubeObject>()
    enqueueOn(store, queue, ({ metadata }) => (metadata.labels?.['of'] ?? '').split(',').filter(Boolean))
    store.apply('ADDED', thing('mute', 1))
    assert.equal(queue.length, 0)
    store.apply('ADDED', thing('a', 2, 'a', { of: 'x,y' }))
    assert.equal(queue.length, 2)
  })
})
