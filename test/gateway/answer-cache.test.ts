import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import { AnswerCache, ReviewUnavailable } from '../../src/gateway/auth/answer-cache.ts'
import { ApiError, TransportError } from '../../src/kube/errors.ts'

/** A reviewer that is asked, and what it says at the time. */
function reviewer(): { clock: VirtualClock; asked: number; says: boolean | Error; get(key?: string): Promise<string> } {
  const clock = new VirtualClock(seededRandom(1))
  const cache = new AnswerCache<boolean>(clock)
  const played = {
    clock,
    asked: 0,
    says: true as boolean | Error,
    get: async (key = 'ada') => {
      const asked = cache.get(key, async () => {
        played.asked += 1
        if (played.says instanceof Error) throw played.says
        return played.says
      })
      return asked.then(
        ({ answer, stale }) => `${answer}${stale ? ', stale' : ''}`,
        (error: Error) => error.name,
      )
    },
  }
  return played
}

test('an answer serves for seconds without asking; a right that was taken away is gone within ten', async () => {
  const played = reviewer()
  assert.equal(await played.get(), 'true')
  played.says = false
  await played.clock.run(3_900)
  assert.deepEqual([await played.get(), played.asked], ['true', 1])
  await played.clock.run(7_900)
  assert.deepEqual([await played.get(), played.asked], ['true', 2], 'given once more, and asked beside')
  await played.clock.run(7_901)
  assert.deepEqual([await played.get(), played.asked], ['false', 2])
})

test('an answer that is older than eight seconds serves nobody while there is another to be had', async () => {
  const played = reviewer()
  await played.get()
  played.says = false
  await played.clock.run(8_001)
  assert.equal(await played.get(), 'false')
})

test('while nobody answers, what was allowed is said to be stale, for 120 s and not longer', async () => {
  for (const error of [new TransportError('reset'), new ApiError(503, 'Unavailable', 'no'), new ApiError(429, 'TooManyRequests', 'no')]) {
    const played = reviewer()
    await played.get()
    played.says = error
    await played.clock.run(8_001)
    assert.equal(await played.get(), 'true, stale')
    await played.clock.run(119_999)
    assert.equal(await played.get(), 'true, stale')
    await played.clock.run(120_001)
    assert.equal(await played.get(), 'ReviewUnavailable')
    assert.equal(await played.get('bob'), 'ReviewUnavailable', 'who was never asked for is let in by nobody')
    played.says = true
    assert.equal(await played.get(), 'true')
  }
})

test('a server that refuses its own parts, as one does that has just started, has given no answer', async () => {
  const played = reviewer()
  await played.get()
  played.says = new ApiError(403, 'Forbidden', 'gateway may not create subjectaccessreviews')
  await played.clock.run(9_000)
  assert.deepEqual([await played.get(), await played.get('bob')], ['true, stale', 'ReviewUnavailable'])
})

test('concurrent questions share one, and a flood of new callers is refused rather than queued', async () => {
  const clock = new VirtualClock(seededRandom(1))
  const cache = new AnswerCache<boolean>(clock)
  let asked = 0
  const never = (): Promise<boolean> => ((asked += 1), new Promise(() => {}))
  for (let n = 0; n < 500; n += 1) void cache.get('same', never).catch(() => {})
  assert.equal(asked, 1)
  for (let n = 0; n < 500; n += 1) void cache.get(`other-${n}`, never).catch(() => {})
  assert.equal(asked, 64)
  await assert.rejects(cache.get('one more', never), ReviewUnavailable)
})
