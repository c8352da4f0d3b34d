/** The client runtime over real HTTP, against an API server that goes wrong in every way that kills an informer for good. */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { isAlreadyExists, isConflict, isGone, TransportError } from '../../src/kube/errors.ts'
import { LEASES, type Lease } from '../../src/kube/lease.ts'
import { reflect, type ReflectOptions } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { Faults } from '../../src/local/api/faults.ts'
import { eventually } from '../kit/eventually.ts'
import { Followed } from './followed.ts'
import { lease } from './objects.ts'
import { ENV } from './quiet-env.ts'
import { spoiledApi, type SpoiledApi } from './spoiled-api.ts'

const within = (because: string) => ({ withinMs: 20_000, everyMs: 10, because })
const WATCH = { verbs: ['watch'], resource: 'leases' }
const LIST = { verbs: ['list'], resource: 'leases' }

interface Run extends SpoiledApi {
  followed: Followed<Lease>
  sees(name: string): Promise<unknown>
  /** What it asked of the server so far; a watch counts when it has ended. */
  asked(verb: 'list' | 'watch'): URL[]
}

/** A server that holds lease `a`, spoiled, and then followed. */
async function following(t: TestContext, spoil: (faults: Faults) => void, options: Partial<ReflectOptions<Lease>> = {}): Promise<Run> {
  const server = await spoiledApi(t)
  await server.admin.create(LEASES, lease('a'))
  spoil(server.faults)
  const followed = new Followed(ENV, server.transport, LEASES, { namespace: 'default', ...options })
  t.after(() => followed.stop())
  return {
    ...server,
    followed,
    sees: (name) => eventually(() => followed.store.get('default', name), within(`it sees ${name}`)),
    asked: (verb) =>
      server.audit
        .filter((event) => event.verb === verb && event.requestURI.includes('/leases'))
        .map(({ requestURI }) => new URL(requestURI, 'https://x')),
  }
}

/** The store is right, and so is what a listener was told. */
async function converges({ followed, admin }: Run): Promise<void> {
  await eventually(() => followed.isCurrent(admin, { namespace: 'default' }), within('the store is what the server holds'))
  await followed.assertCurrent(admin, { namespace: 'default' })
}

describe('a first list that', () => {
  test('answers 500 is asked for again', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'refuse', status: 500 }, { ...LIST, times: 3 }))
    await run.sees('a')
    assert.deepEqual(run.followed.counters.restarts, { refused: 3 })
    await run.admin.create(LEASES, lease('b'))
    await converges(run)
  })

  test('is cut is asked for again', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'cut' }, { ...LIST, times: 2 }))
    await run.sees('a')
    assert.deepEqual(run.followed.counters.restarts, { cut: 2 })
  })

  test('holds an object on which a listener throws goes on to the watch', async (t) => {
    const run = await following(t, () => {})
    run.followed.store.subscribe(() => {
      throw new Error('mine')
    })
    await run.sees('a')
    await run.admin.create(LEASES, lease('b'))
    await run.admin.create(LEASES, lease('c'))
    await converges(run)
    assert.equal(run.followed.counters.watches, 1)
  })
})

describe('a watch that', () => {
  test('is cut, again and again, goes on where it was, without a list', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'cut', afterEvents: 1 }, { ...WATCH, times: 3 }))
    for (const name of ['b', 'c', 'd', 'e']) {
      await run.admin.create(LEASES, lease(name))
      await run.sees(name)
    }
    assert.deepEqual(run.followed.counters.restarts, { cut: 3 })
    assert.equal(run.followed.counters.lists, 1)
    const versions = run.asked('watch').map(({ searchParams }) => Number(searchParams.get('resourceVersion')))
    assert.ok(
      versions.every((version, index) => index === 0 || version > versions[index - 1]!),
      `${versions}`,
    )
    await converges(run)
  })

  test('is answered with 429 is asked for when Retry-After says', async (t) => {
    const startedAtMs = performance.now()
    const run = await following(t, (faults) => faults.set({ do: 'refuse', status: 429, retryAfterSeconds: 1 }, { ...WATCH, times: 2 }))
    await run.sees('a')
    await run.admin.create(LEASES, lease('b'))
    await run.sees('b')
    assert.ok(performance.now() - startedAtMs >= 1_900, 'two refusals, two seconds')
    assert.equal(run.followed.counters.watches, 3)
    assert.equal(run.followed.counters.lists, 1)
  })

  test('is closed at once, again and again, is not asked for in a hot loop', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'close', afterEvents: 0 }, WATCH))
    await run.sees('a')
    const untilMs = performance.now() + 3_000
    await eventually(() => performance.now() > untilMs, within('three seconds pass'))
    const asked = run.faults.spoiled
    assert.ok(asked >= 3 && asked <= 10, `${asked} watches in three seconds`)
    assert.equal(run.followed.counters.lists, 1)
    run.faults.clear()
    await run.admin.create(LEASES, lease('b'))
    await converges(run)
  })

  test('falls silent is given up for another, and its connection is closed', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'stall', afterEvents: 1 }, { ...WATCH, times: 1 }), { silenceMs: 500 })
    await run.sees('a')
    await run.admin.create(LEASES, lease('b'))
    await run.sees('b')
    await run.admin.create(LEASES, lease('c'))
    await run.sees('c')
    assert.ok(run.followed.counters.restarts['silent']! >= 1)
    assert.equal(run.followed.counters.lists, 1)
    await eventually(() => run.asked('watch').length >= 1, within('the server saw it go'))
  })

  for (const [how, spoil] of [
    ['as an answer', (faults: Faults) => faults.set({ do: 'refuse', status: 410 }, { ...WATCH, times: 1 })],
    ['as an event', (faults: Faults) => faults.set({ do: 'error', code: 410, afterEvents: 1 }, { ...WATCH, times: 1 })],
  ] as const) {
    test(`says 410 ${how} is followed by a list`, async (t) => {
      const run = await following(t, spoil)
      await run.sees('a')
      for (const name of ['b', 'c']) await run.admin.create(LEASES, lease(name))
      await eventually(() => run.followed.counters.lists === 2, within('it lists anew'))
      assert.deepEqual(run.followed.counters.restarts, { gone: 1 })
      await converges(run)
    })
  }

  test('says another error as an event, and stays open, is left for a new one from where it was', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'error', code: 500, afterEvents: 1 }, { ...WATCH, times: 2 }))
    for (const name of ['b', 'c', 'd']) {
      await run.admin.create(LEASES, lease(name))
      await run.sees(name)
    }
    assert.deepEqual(run.followed.counters.restarts, { refused: 2 })
    assert.equal(run.followed.counters.lists, 1)
    await converges(run)
  })

  test('brings every event twice is heard once', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'replay' }, WATCH))
    const made = await run.admin.create(LEASES, lease('b'))
    await run.sees('b')
    await run.admin.delete(LEASES, 'default', 'b', { uid: made.metadata.uid! })
    await run.admin.create(LEASES, lease('c'))
    await run.sees('c')
    assert.deepEqual(run.followed.heard, ['added a', 'added b', 'deleted b', 'added c'])
    await converges(run)
  })

  test('is behind shows what was, and in the end what is', async (t) => {
    const run = await following(t, () => {})
    await run.sees('a')
    const client = new KubeClient(run.transport)
    await client.list(LEASES, { namespace: 'default' })
    const heal = run.faults.set({ do: 'stale' }, { resource: 'leases' })
    await run.admin.create(LEASES, lease('b'))
    await run.admin.delete(LEASES, 'default', 'a', { uid: run.followed.store.get('default', 'a')!.metadata.uid! })
    const stale = await client.list(LEASES, { namespace: 'default' })
    assert.deepEqual(
      stale.items.map(({ metadata }) => metadata.name),
      ['a'],
    )
    assert.deepEqual(run.followed.heard, ['added a'])
    heal()
    await converges(run)
    assert.deepEqual(run.followed.heard, ['added a', 'added b', 'deleted a'])
  })

  test('comes late comes', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'delay', ms: 300 }, { resource: 'leases' }))
    const startedAtMs = performance.now()
    await run.sees('a')
    assert.ok(performance.now() - startedAtMs >= 280)
    await run.admin.create(LEASES, lease('b'))
    await converges(run)
  })

  test('asks for bookmarks, and when none came before its version was forgotten, a list makes it whole', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'cut', afterEvents: 1 }, { ...WATCH, times: 1 }))
    await run.sees('a')
    const heal = run.faults.set({ do: 'refuse', status: 503 }, WATCH)
    await run.admin.create(LEASES, lease('b'))
    await run.sees('b')
    await eventually(() => run.faults.spoiled >= 2, within('it is away'))
    const { uid } = run.followed.store.get('default', 'a')!.metadata
    await run.admin.delete(LEASES, 'default', 'a', { uid: uid! })
    await run.admin.create(LEASES, lease('a'))
    run.api.compact()
    heal()
    await eventually(() => run.followed.heard.length === 4, within('it lists anew'))
    assert.equal(run.followed.counters.lists, 2)
    assert.equal(run.followed.counters.restarts['gone'], 1)
    assert.deepEqual(run.followed.heard, ['added a', 'added b', 'deleted a', 'added a'], 'deleted and made anew is two changes')
    assert.notEqual(run.followed.store.get('default', 'a')!.metadata.uid, uid)
    assert.ok(run.asked('watch').every(({ searchParams }) => searchParams.get('allowWatchBookmarks') === 'true'))
    await converges(run)
  })

  test('deletes and makes anew while it is away is told as both, without a list', async (t) => {
    const run = await following(t, (faults) => faults.set({ do: 'cut', afterEvents: 1 }, { ...WATCH, times: 1 }))
    await run.sees('a')
    const heal = run.faults.set({ do: 'refuse', status: 503 }, WATCH)
    await run.admin.create(LEASES, lease('b'))
    await run.sees('b')
    const { uid } = run.followed.store.get('default', 'a')!.metadata
    await run.admin.delete(LEASES, 'default', 'a', { uid: uid! })
    await run.admin.create(LEASES, lease('a'))
    heal()
    await eventually(() => run.followed.heard.length === 4, within('it hears of both'))
    assert.deepEqual(run.followed.heard.slice(2), ['deleted a', 'added a'])
    assert.equal(run.followed.counters.lists, 1)
    await converges(run)
  })
})

describe('stopping', () => {
  const states: [string, (faults: Faults) => void, (run: Run) => boolean | Promise<boolean>][] = [
    ['while the list is in flight', (faults) => faults.set({ do: 'stall' }, LIST), ({ faults }) => faults.spoiled === 1],
    ['while the watch is being opened', (faults) => faults.set({ do: 'stall' }, WATCH), ({ faults }) => faults.spoiled === 1],
    ['while it watches', () => {}, sawAnEvent],
    [
      'while it backs off from a list',
      (faults) => faults.set({ do: 'refuse', status: 429, retryAfterSeconds: 60 }, LIST),
      ({ followed }) => followed.counters.restarts['refused'] === 1,
    ],
    [
      'while it backs off from a watch',
      (faults) => faults.set({ do: 'refuse', status: 429, retryAfterSeconds: 60 }, WATCH),
      ({ followed }) => followed.counters.restarts['refused'] === 1,
    ],
  ]
  for (const [when, spoil, isThere] of states) {
    test(`${when} ends at once, without a word and with nothing left open`, async (t) => {
      const run = await following(t, spoil)
      await eventually(() => isThere(run), within(when))
      const { lists, watches, restarts } = structuredClone(run.followed.counters)
      const startedAtMs = performance.now()
      await run.followed.stop()
      assert.ok(performance.now() - startedAtMs < 2_000)
      run.faults.clear()
      await run.admin.create(LEASES, lease('late'))
      await eventually(
        () => run.asked('list').length + run.asked('watch').length >= lists + watches,
        within('the server has no request of it left'),
      )
      assert.deepEqual(
        { lists: run.followed.counters.lists, watches: run.followed.counters.watches },
        { lists, watches },
        'nothing is asked afterwards',
      )
      assert.deepEqual(run.followed.counters.restarts, restarts, 'and no failure is noted')
      assert.equal(run.followed.store.get('default', 'late'), undefined)
    })
  }

  test('before the start asks nothing', async (t) => {
    const { transport, audit } = await spoiledApi(t)
    await reflect({ env: ENV, transport, resource: LEASES, store: new Store() }, AbortSignal.abort())
    assert.equal(audit.length, 0)
  })
})

/** Makes another object at each look, until one came by the watch. */
async function sawAnEvent({ admin, followed }: Run): Promise<boolean> {
  await admin.create(LEASES, lease(`one-of-${Math.random()}`))
  return followed.counters.lastEventAtMs > 0
}

test('started twice on one store, the second is refused and the first goes on; after its end, another may follow', async (t) => {
  const run = await following(t, () => {})
  await run.sees('a')
  const end = new AbortController()
  const options = { env: ENV, transport: run.transport, resource: LEASES, store: run.followed.store, namespace: 'default' }
  await assert.rejects(reflect(options, end.signal), /fed already/)
  await run.admin.create(LEASES, lease('b'))
  await run.sees('b')
  await run.followed.stop()
  const again = reflect(options, end.signal)
  await run.admin.create(LEASES, lease('c'))
  await run.sees('c')
  end.abort()
  await again
})

describe('a write', () => {
  test('whose answer was cut may have been carried out: the next one finds it', async (t) => {
    const { faults, transport, admin } = await spoiledApi(t)
    const client = new KubeClient(transport)
    faults.set({ do: 'cut', late: true }, { verbs: ['create'], times: 1 })
    await assert.rejects(client.create(LEASES, lease('a')), TransportError)
    assert.ok(await admin.find(LEASES, 'default', 'a'))
    await assert.rejects(client.create(LEASES, lease('a')), isAlreadyExists)
    faults.set({ do: 'cut' }, { verbs: ['create'], times: 1 })
    await assert.rejects(client.create(LEASES, lease('b')), TransportError)
    assert.equal(await admin.find(LEASES, 'default', 'b'), undefined, 'or may not')
  })

  test('that is refused says why, and when to come again', async (t) => {
    const { faults, transport, admin } = await spoiledApi(t)
    const client = new KubeClient(transport)
    const made = await admin.create(LEASES, lease('a'))
    faults.set({ do: 'refuse', status: 409 }, { verbs: ['update'], times: 1 })
    await assert.rejects(client.replace(LEASES, made), isConflict)
    faults.set({ do: 'refuse', status: 429, retryAfterSeconds: 7 }, { verbs: ['update'], times: 1 })
    await assert.rejects(client.replace(LEASES, made), (error: { retryAfterMs?: number }) => error.retryAfterMs === 7_000)
    await client.replace(LEASES, made)
    faults.set({ do: 'refuse', status: 410 }, { ...LIST, times: 1 })
    await assert.rejects(client.list(LEASES), isGone)
  })

  test('that hears nothing is given up after its own time', async (t) => {
    const { faults, transport } = await spoiledApi(t)
    faults.set({ do: 'stall' }, { verbs: ['get'] })
    const asking = transport.request({ method: 'GET', path: '/apis/coordination.k8s.io/v1/namespaces/default/leases/a', timeoutMs: 200 })
    await assert.rejects(asking, TransportError)
  })
})

test('a knob spoils the calls it names and no others, as often as it says', async (t) => {
  const { faults, transport } = await spoiledApi(t)
  const client = new KubeClient(transport)
  faults.set({ do: 'refuse', status: 500 }, { verbs: ['list'], resource: 'pods', times: 2 })
  faults.set({ do: 'refuse', status: 503 }, { user: 'somebody' })
  await client.list(LEASES)
  const pods = { ...LEASES, group: '', version: 'v1', kind: 'Pod', plural: 'pods' }
  await assert.rejects(client.list(pods), /500|fault knob/)
  await assert.rejects(client.list(pods), /fault knob/)
  await client.list(pods)
  assert.equal(faults.spoiled, 2)
})
