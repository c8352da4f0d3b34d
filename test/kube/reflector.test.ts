import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ApiError, TransportError } from '../../src/kube/errors.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { reflect, type ReflectOptions, type ReflectorCounters } from '../../src/kube/reflector.ts'
import type { ApiResponse } from '../../src/kube/transport.ts'
import { Store } from '../../src/kube/store.ts'
import { THINGS, thing } from './objects.ts'
import { virtualEnv } from './quiet-env.ts'
import { bookmark, failure, page, refusal, ScriptedTransport, type WatchStep } from './scripted-transport.ts'

/** A reflector at work on a scripted server. */
function reflecting(lists: (ApiResponse | Error)[], watches: WatchStep[][] = [], options: Partial<ReflectOptions<KubeObject>> = {}) {
  const env = virtualEnv()
  const server = new ScriptedTransport(env, { lists, watches })
  const store = new Store<KubeObject>()
  const heard: string[] = []
  store.subscribe(({ type, object }) => void heard.push(`${type} ${object.metadata.uid}@${object.metadata.resourceVersion}`))
  const counters: ReflectorCounters = { lists: 0, watches: 0, restarts: {}, lastEventAtMs: 0 }
  const stop = new AbortController()
  let ended = false
  const ending = reflect({ env, transport: server, resource: THINGS, store, namespace: 'team', counters, ...options }, stop.signal).then(
    () => (ended = true),
  )
  return { env, server, store, heard, counters, stop, ending, hasEnded: () => ended }
}

const added = (object: KubeObject): WatchStep => ({ type: 'ADDED', object })
const modified = (object: KubeObject): WatchStep => ({ type: 'MODIFIED', object })
const deleted = (object: KubeObject): WatchStep => ({ type: 'DELETED', object })

describe('listing', () => {
  test('asks for pages of 250, and the store changes only when the last one is in', async () => {
    const run = reflecting([page([thing('a', 1)], 9, 'next'), page([thing('b', 2)], 9)], [], { labelSelector: 'x=y', fieldSelector: 'f=g' })
    const sizes: number[] = []
    run.store.subscribe(() => void sizes.push(run.store.size))
    await run.env.clock.run(10)
    const selectors = { labelSelector: 'x=y', fieldSelector: 'f=g' }
    assert.deepEqual(
      run.server.of('list').map(({ query }) => query),
      [
        { ...selectors, limit: '250' },
        { ...selectors, limit: '250', continue: 'next' },
      ],
    )
    assert.equal(run.server.asked[0]!.path, '/apis/test.example/v1/namespaces/team/things')
    assert.deepEqual(sizes, [2, 2])
    const { query } = run.server.of('watch')[0]!
    assert.deepEqual(
      { ...query, timeoutSeconds: '' },
      { ...selectors, watch: 'true', resourceVersion: '9', allowWatchBookmarks: 'true', timeoutSeconds: '' },
    )
    const seconds = Number(query['timeoutSeconds'])
    assert.ok(Number.isInteger(seconds) && seconds >= 260 && seconds <= 290, `${seconds}`)
  })

  test('gives items of a list the kind that lists leave out', async () => {
    const { apiVersion: _, kind: __, ...bare } = thing('a', 1)
    const run = reflecting([page([bare as KubeObject], 1)])
    await run.env.clock.run(10)
    assert.deepEqual(run.store.get('team', 'a'), thing('a', 1))
  })

  test('projects what is listed and what is watched', async () => {
    const transform = (object: KubeObject): KubeObject => ({ ...object, metadata: { ...object.metadata, labels: { seen: 'yes' } } })
    const run = reflecting([page([thing('a', 1)], 1)], [[added(thing('b', 2))]], { transform })
    await run.env.clock.run(10)
    assert.deepEqual(
      run.store.list().map(({ metadata }) => metadata.labels),
      [{ seen: 'yes' }, { seen: 'yes' }],
    )
  })

  test('a 500 at first is tried again after a pause, and so is what nobody answers', async () => {
    const run = reflecting([refusal(500), new TransportError('refused'), page([thing('a', 1)], 1)])
    await run.env.clock.run(10_000, () => run.store.hasSynced)
    const [first, second, third] = run.server.of('list').map(({ atMs }) => atMs)
    assert.ok(second! - first! >= 50 && second! - first! <= 150, `${second! - first!}`)
    assert.ok(third! - second! >= 50 && third! - second! <= 150, `${third! - second!}`)
    assert.deepEqual(run.counters.restarts, { refused: 1, cut: 1 })
    assert.equal(run.store.size, 1)
  })

  test('a server that is away for long is asked at most every 15 to 45 seconds', async () => {
    const run = reflecting(Array.from({ length: 40 }, () => refusal(503)))
    await run.env.clock.run(600_000)
    const times = run.server.of('list').map(({ atMs }) => atMs)
    const lastGaps = times.slice(-5).map((atMs, index, all) => atMs - (index === 0 ? times.at(-6)! : all[index - 1]!))
    for (const gapMs of lastGaps) assert.ok(gapMs >= 15_000 && gapMs <= 45_000, `${gapMs}`)
  })

  test('one that nobody answers is asked about once a second, found soon when it is back, and its first refusals cost little', async () => {
    const silence = Array.from({ length: 60 }, () => new TransportError('connect ECONNREFUSED'))
    const run = reflecting([...silence, refusal(503), refusal(503), page([], 1)])
    await run.env.clock.run(120_000, () => run.store.hasSynced)
    const times = run.server.of('list').map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, index) => atMs - times[index]!)
    for (const gapMs of gaps.slice(5, 60)) assert.ok(gapMs >= 500 && gapMs <= 1_500, `${gapMs}`)
    assert.ok(times.at(-1)! - times[60]! <= 450, `${times.at(-1)! - times[60]!}`)
  })

  test('a 429 waits as long as Retry-After says', async () => {
    const run = reflecting([refusal(429, { 'retry-after': '7' }), page([], 1)])
    await run.env.clock.run(6_999)
    assert.equal(run.server.of('list').length, 1)
    await run.env.clock.run(7_000)
    assert.equal(run.store.hasSynced, true)
  })

  test('a page that fails for a moment is asked for again; an expired token begins a new list', async () => {
    const pages = [page([thing('a', 1)], 9, 'next'), refusal(503), refusal(410, {}, 'Expired'), page([thing('c', 10)], 12)]
    const run = reflecting(pages)
    await run.env.clock.run(10_000, () => run.store.hasSynced)
    assert.deepEqual(
      run.server.of('list').map(({ query }) => query['continue']),
      [undefined, 'next', 'next', undefined],
    )
    assert.deepEqual(run.heard, ['added c@10'])
    assert.deepEqual(run.counters.restarts, { refused: 1, gone: 1 })
  })

  test('an answer that is no list is survived', async () => {
    const run = reflecting([{ status: 200, headers: {}, body: '<html>' }, page([], 1)])
    await run.env.clock.run(1_000, () => run.store.hasSynced)
    assert.equal(run.hasEnded(), false)
    assert.equal(run.store.hasSynced, true)
  })
})

describe('watching', () => {
  test('a cut socket goes on from the last event, without a list', async () => {
    const run = reflecting([page([thing('a', 1)], 5)], [[added(thing('b', 6)), deleted(thing('a', 7)), 'cut'], [modified(thing('b', 8))]])
    await run.env.clock.run(1_000)
    assert.deepEqual(run.heard, ['added a@1', 'added b@6', 'deleted a@7', 'updated b@8'])
    assert.deepEqual(
      run.server.of('watch').map(({ query }) => query['resourceVersion']),
      ['5', '7'],
    )
    assert.equal(run.counters.lists, 1)
    assert.deepEqual(run.counters.restarts, { cut: 1 })
  })

  test('a bookmark advances the version and is no change', async () => {
    const run = reflecting([page([], 5)], [[bookmark(50), 'cut']])
    await run.env.clock.run(1_000)
    assert.equal(run.server.of('watch')[1]!.query['resourceVersion'], '50')
    assert.deepEqual(run.heard, [])
    assert.equal(run.store.size, 0)
  })

  for (const [what, steps] of [
    ['in silence', ['close']],
    ['after a bookmark', [bookmark(6), 'close']],
  ] as [string, WatchStep[]][]) {
    test(`a server that closes at once ${what} is not hammered`, async () => {
      const run = reflecting(
        [page([], 5)],
        Array.from({ length: 1_000 }, () => steps),
      )
      await run.env.clock.run(60_000)
      const watches = run.server.of('watch').length
      assert.ok(watches >= 5 && watches <= 20, `${watches} watches in a minute`)
      assert.equal(run.counters.lists, 1)
    })
  }

  test('a server that says something and closes at once is not hammered either', async () => {
    const watches = Array.from({ length: 5_000 }, (_, index): WatchStep[] => [modified(thing('a', 10 + index)), 'close'])
    const run = reflecting([page([thing('a', 1)], 5)], watches)
    await run.env.clock.run(10_000)
    assert.ok(run.server.of('watch').length <= 201, `${run.server.of('watch').length} watches in ten seconds`)
  })

  test('a server that ends the watch in time is asked again at once, and old failures are forgotten', async () => {
    const run = reflecting(
      [refusal(500), refusal(500), refusal(500), page([], 5)],
      [[{ waitMs: 280_000 }, 'close'], [{ waitMs: 280_000 }, 'close'], ['cut']],
    )
    await run.env.clock.run(600_000, () => run.server.of('watch').length === 4)
    const times = run.server.of('watch').map(({ atMs }) => atMs)
    assert.equal(times[1]! - times[0]!, 280_000)
    assert.ok(times[3]! - times[2]! <= 150, `${times[3]! - times[2]!}`)
    assert.deepEqual(run.counters.restarts, { refused: 3, closed: 2, cut: 1 })
  })

  test('silence is taken for a dead connection, which is closed', async () => {
    const run = reflecting([page([], 5)], [[{ waitMs: 200_000 }, bookmark(6)], [added(thing('a', 7))]])
    await run.env.clock.run(519_999)
    assert.equal(run.server.of('watch').length, 1, 'the bookmark counted as a sign of life')
    await run.env.clock.run(521_000)
    assert.equal(run.server.of('watch').length, 2)
    assert.equal(run.server.openWatches, 1)
    assert.equal(run.counters.restarts['silent'], 1)
    assert.deepEqual(run.heard, ['added a@7'])
  })

  test('a subscriber that throws neither stops the watch nor the others', async () => {
    const run = reflecting([page([thing('a', 1)], 1)], [[added(thing('b', 2)), added(thing('c', 3))]])
    run.store.subscribe(() => {
      throw new Error('mine')
    })
    await run.env.clock.run(1_000)
    assert.deepEqual(run.heard, ['added a@1', 'added b@2', 'added c@3'])
    assert.equal(run.server.of('watch').length, 1)
    assert.equal(run.env.logged.filter((message) => message.includes('listener')).length, 3)
  })

  test('what was deleted and made anew while away is told as both', async () => {
    const run = reflecting(
      [page([thing('a', 1, 'old')], 1), page([thing('a', 9, 'new')], 9)],
      [['cut'], [new ApiError(410, 'Expired', 'too old')]],
    )
    await run.env.clock.run(5_000)
    assert.deepEqual(run.heard, ['added old@1', 'deleted old@1', 'added new@9'])
  })
})

describe('a watch that is refused', () => {
  for (const [what, step] of [
    ['as status', new ApiError(410, 'Expired', 'too old')],
    ['as event', { type: 'ERROR', object: failure(410, 'Expired') }],
  ] as [string, WatchStep][]) {
    test(`410 ${what} lists anew`, async () => {
      const run = reflecting([page([thing('a', 1)], 1), page([thing('b', 20)], 20)], [[step]])
      await run.env.clock.run(1_000)
      assert.equal(run.counters.lists, 2)
      assert.deepEqual(run.heard, ['added a@1', 'deleted a@1', 'added b@20'])
      assert.equal(run.server.of('watch')[1]!.query['resourceVersion'], '20')
      assert.deepEqual(run.counters.restarts, { gone: 1 })
    })
  }

  for (const [what, step] of [
    ['500 as status', new ApiError(500, 'InternalError', 'broken')],
    ['429 as status', new ApiError(429, 'TooManyRequests', 'busy', 2_000)],
    ['403 as status', new ApiError(403, 'Forbidden', 'no')],
    ['500 as event', { type: 'ERROR', object: failure(500, 'InternalError') }],
    ['an error of nobody knows whom', new TypeError('?')],
  ] as [string, WatchStep][]) {
    test(`${what} keeps the resourceVersion`, async () => {
      const run = reflecting([page([], 5)], [[bookmark(8), step], [step], [added(thing('a', 9))]])
      await run.env.clock.run(10_000)
      assert.equal(run.counters.lists, 1)
      assert.deepEqual(
        run.server.of('watch').map(({ query }) => query['resourceVersion']),
        ['5', '8', '8'],
      )
      assert.deepEqual(run.heard, ['added a@9'])
    })
  }

  test('Retry-After is obeyed', async () => {
    const run = reflecting([page([], 5)], [[new ApiError(429, 'TooManyRequests', 'busy', 4_000)]])
    await run.env.clock.run(3_999)
    assert.equal(run.server.of('watch').length, 1)
    await run.env.clock.run(4_000)
    assert.equal(run.server.of('watch').length, 2)
  })

  test('errors that come again and again are answered ever more slowly', async () => {
    const error: WatchStep = { type: 'ERROR', object: failure(500, 'InternalError') }
    const run = reflecting(
      [page([], 5)],
      Array.from({ length: 1_000 }, () => [error]),
    )
    await run.env.clock.run(60_000)
    assert.ok(run.server.of('watch').length <= 20, `${run.server.of('watch').length} watches in a minute`)
  })
})

describe('stopping', () => {
  const states: [string, (ApiResponse | Error)[], WatchStep[][]][] = [
    ['during the first list', [], []],
    ['during a later page', [page([thing('a', 1)], 1, 'next')], []],
    ['in the pause after a refused list', [refusal(503, { 'retry-after': '100' })], []],
    ['in a silent watch', [page([], 1)], [[]]],
    ['in a busy watch', [page([], 1)], [[added(thing('a', 2)), { waitMs: 5_000 }, added(thing('b', 3))]]],
    ['in the pause after a refused watch', [page([], 1)], [[new ApiError(429, 'TooManyRequests', 'busy', 100_000)]]],
  ]
  for (const [when, lists, watches] of states) {
    test(`${when} ends at once and leaves nothing open`, async () => {
      const run = reflecting(lists, watches)
      await run.env.clock.run(1_000)
      assert.equal(run.hasEnded(), false)
      const asked = run.server.asked.length
      run.stop.abort()
      await run.ending
      await run.env.clock.run(1_000_000)
      assert.equal(run.server.openWatches, 0)
      assert.equal(run.server.openLists, 0)
      assert.equal(run.server.asked.length, asked, 'nothing is asked any more')
    })
  }

  test('by a listener, in the middle of a watch, closes the watch', async () => {
    const run = reflecting([page([], 1)], [[added(thing('a', 2)), added(thing('b', 3))]])
    run.store.subscribe(() => run.stop.abort())
    await run.env.clock.run(1_000)
    assert.equal(run.hasEnded(), true)
    assert.equal(run.server.openWatches, 0)
    assert.deepEqual(run.heard, ['added a@2'])
  })

  test('before the start asks nothing', async () => {
    const env = virtualEnv()
    const transport = new ScriptedTransport(env, { lists: [] })
    await reflect({ env, transport, resource: THINGS, store: new Store<KubeObject>() }, AbortSignal.abort())
    assert.deepEqual(transport.asked, [])
  })
})
