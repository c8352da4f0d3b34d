/** The client runtime against a real kube-apiserver, behind a TCP proxy that cuts, stalls and refuses. */
import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { isConflict, isGone, TransportError } from '../../src/kube/errors.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { Candidate } from '../../src/kube/leader.ts'
import { LEASES, type Lease } from '../../src/kube/lease.ts'
import { LiveHolders } from '../../src/kube/live-holders.ts'
import { keepLease } from '../../src/kube/membership.ts'
import { reflect, type ReflectOptions } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'
import { Followed } from './followed.ts'
import { lease } from './objects.ts'
import { aborted, ENV } from './quiet-env.ts'

const within = (because: string) => ({ withinMs: 30_000, everyMs: 10, because })

let plane: ControlPlane | undefined
let admin: KubeClient
let adminTransport: Transport & { close(): Promise<void> }
let namespaces = 0

before(async () => {
  if (!process.env['CARREL_TEST_CONTROL_PLANE']) return
  plane = await ControlPlane.start()
  adminTransport = httpTransport(plane.access)
  admin = new KubeClient(adminTransport)
})
after(async () => {
  await adminTransport?.close()
  await plane?.stop()
})

/** A proxy of its own before the API server, and an empty namespace. */
async function throughProxy(t: TestContext): Promise<{ proxy: TcpProxy; transport: Transport; client: KubeClient; namespace: string }> {
  const { access } = plane!
  const namespace = `team-${(namespaces += 1)}`
  const resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
  await admin.create(resource, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const proxy = await TcpProxy.start({ port: Number(new URL(access.server).port) })
  const transport = httpTransport({ ...access, server: `https://127.0.0.1:${proxy.port}` })
  t.after(async () => {
    await transport.close()
    await proxy.stop()
  })
  return { proxy, transport, client: new KubeClient(transport), namespace }
}

/** Followed, with lease `a` in the store, and an event seen by the watch. */
async function watching(t: TestContext, options: Partial<ReflectOptions<Lease>> = {}) {
  const server = await throughProxy(t)
  const { namespace } = server
  await admin.create(LEASES, lease('a', namespace))
  const followed = new Followed(ENV, server.transport, LEASES, { namespace, ...options })
  t.after(() => followed.stop())
  const sees = (name: string): Promise<Lease> => eventually(() => followed.store.get(namespace, name), within(`it sees ${name}`))
  await sees('a')
  await admin.create(LEASES, lease('b', namespace))
  await sees('b')
  assert.equal(followed.counters.lists, 1)
  const converges = async (): Promise<void> => {
    await eventually(() => followed.isCurrent(admin, { namespace }), within('the store is what the server holds'))
    await followed.assertCurrent(admin, { namespace })
  }
  return { ...server, followed, sees, converges }
}

test('200 calls, one after the other, share a connection or two', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { proxy, client, namespace } = await throughProxy(t)
  for (let call = 0; call < 200; call += 1) await client.find(LEASES, namespace, 'a')
  assert.ok(proxy.accepted <= 2, `${proxy.accepted} connections`)
})

test('50 calls at once take no more than 64 connections, and a watch has its own', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { proxy, followed, client, namespace } = await watching(t)
  await Promise.all(Array.from({ length: 500 }, () => client.list(LEASES, { namespace })))
  assert.ok(proxy.accepted <= 65, `${proxy.accepted} connections`)
  assert.equal(followed.counters.watches, 1)
})

test('a patch meant for an object whose name is another’s now is a conflict, and so is one from an old version', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { client, namespace } = await throughProxy(t)
  const { metadata } = await client.create(LEASES, lease('a', namespace))
  const labels = { metadata: { labels: { x: 'y' } } }
  await assert.rejects(client.mergePatch(LEASES, namespace, 'a', labels, { uid: 'of-another' }), isConflict)
  await client.mergePatch(LEASES, namespace, 'a', labels, { uid: metadata.uid! })
  await assert.rejects(
    client.mergePatch(LEASES, namespace, 'a', { spec: {} }, { uid: metadata.uid!, resourceVersion: metadata.resourceVersion! }),
    isConflict,
  )
})

describe('a watch', () => {
  test('that is cut goes on where it was, without a list', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { proxy, followed, sees, namespace, converges } = await watching(t)
    for (const name of ['c', 'd', 'e']) {
      assert.ok(proxy.cut() >= 1)
      await admin.create(LEASES, lease(name, namespace))
      await sees(name)
    }
    assert.equal(followed.counters.lists, 1)
    assert.ok(followed.counters.restarts['cut']! >= 3)
    await converges()
  })

  test('that is half open is given up for another, which tells what was missed', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { proxy, followed, sees, namespace, converges } = await watching(t, { silenceMs: 1_500 })
    await proxy.set({ do: 'stall' })
    await admin.create(LEASES, lease('c', namespace))
    await eventually(() => (followed.counters.restarts['silent'] ?? 0) >= 1, within('it gives up'))
    assert.equal(followed.store.get(namespace, 'c'), undefined)
    await proxy.set({ do: 'pass' })
    await sees('c')
    assert.equal(followed.counters.lists, 1)
    await converges()
  })

  test('that is slow is only slow', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { proxy, followed, namespace, converges } = await watching(t)
    await proxy.set({ do: 'delay', ms: 200 })
    for (let index = 0; index < 50; index += 1) await admin.create(LEASES, lease(`slow-${index}`, namespace))
    await converges()
    assert.deepEqual(followed.counters.restarts, {})
  })

  test('that is away while an object is deleted and made anew tells both', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { proxy, followed, namespace, converges } = await watching(t)
    await proxy.set({ do: 'refuse' })
    const old = followed.store.get(namespace, 'a')!.metadata.uid!
    followed.heard.length = 0
    await admin.delete(LEASES, namespace, 'a', { uid: old })
    await admin.create(LEASES, lease('a', namespace))
    await eventually(() => (followed.counters.restarts['cut'] ?? 0) >= 2, within('it tries and fails'))
    await proxy.set({ do: 'pass' })
    await converges()
    assert.deepEqual(followed.heard, ['deleted a', 'added a'])
    assert.notEqual(followed.store.get(namespace, 'a')!.metadata.uid, old)
  })
})

test('a server that is not there at first is found when it is', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { proxy, transport, namespace } = await throughProxy(t)
  await admin.create(LEASES, lease('a', namespace))
  await proxy.set({ do: 'refuse' })
  const followed = new Followed(ENV, transport, LEASES, { namespace })
  t.after(() => followed.stop())
  await eventually(() => (followed.counters.restarts['cut'] ?? 0) >= 3, within('it tries'))
  assert.equal(followed.store.hasSynced, false)
  await proxy.set({ do: 'pass' })
  await followed.store.synced
  await followed.assertCurrent(admin, { namespace })
})

describe('stopping leaves no connection open', () => {
  const states: [string, (proxy: TcpProxy, transport: Transport, namespace: string) => Promise<() => Promise<void>>][] = [
    [
      'while a list hears nothing',
      (proxy, transport, namespace) => proxy.set({ do: 'stall' }).then(() => begin(proxy, transport, namespace, 1)),
    ],
    ['while it watches', (proxy, transport, namespace) => begin(proxy, transport, namespace, 2)],
  ]
  /** Answers the way to stop it, once so many connections are open. */
  async function begin(proxy: TcpProxy, transport: Transport, namespace: string, connections: number): Promise<() => Promise<void>> {
    const end = new AbortController()
    const store = new Store<Lease>()
    const ending = reflect({ env: ENV, transport, resource: LEASES, store, namespace }, end.signal)
    await eventually(() => proxy.open === connections, within(`${connections} connections`))
    return async () => {
      end.abort()
      await ending
    }
  }
  for (const [when, start] of states) {
    test(when, async (t) => {
      if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
      const { proxy, transport, namespace } = await throughProxy(t)
      const stop = await start(proxy, transport, namespace)
      const { accepted } = proxy
      await stop()
      await proxy.set({ do: 'pass' })
      // The list's own is kept for the next request, for a while.
      await eventually(() => proxy.open <= 1, within('the watch is closed'))
      assert.equal(proxy.accepted, accepted)
    })
  }
})

describe('candidates on a real Lease', () => {
  function candidate(transport: Transport, namespace: string, identity: string): Candidate {
    return new Candidate({ env: ENV, transport, namespace, name: 'operator', identity })
  }

  test('one leads; it hands over within a second when it ends; one that is cut off is followed within five', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { namespace } = await throughProxy(t)
    const cutOff = await throughProxy(t)
    const end = [new AbortController(), new AbortController(), new AbortController()] as const
    t.after(() => end.forEach((each) => each.abort()))
    const [first, second, third] = [
      candidate(adminTransport, namespace, 'first'),
      candidate(cutOff.transport, namespace, 'second'),
      candidate(adminTransport, namespace, 'third'),
    ]
    const all = [first, second, third]
    const leading = (): Candidate[] => all.filter((each) => each.isLeader())
    const isAlone = (wanted: Candidate) => (): boolean => {
      assert.ok(leading().length <= 1, 'two lead')
      return wanted.isLeader()
    }
    const firstOutcome = first.lead(end[0].signal, aborted)
    await eventually(isAlone(first), within('the first leads'))
    const secondOutcome = second.lead(end[1].signal, aborted)
    await eventually(
      async () => (await cutOff.client.get(LEASES, namespace, 'operator')).spec?.holderIdentity === first.identity,
      within('the second looks'),
    )

    const endedAtMs = performance.now()
    end[0].abort()
    await eventually(isAlone(second), within('the second leads'))
    assert.ok(performance.now() - endedAtMs < 1_000, `${performance.now() - endedAtMs} ms`)
    assert.equal(await firstOutcome, 'ended')

    const thirdOutcome = third.lead(end[2].signal, aborted)
    await eventually(
      async () => (await admin.get(LEASES, namespace, 'operator')).spec?.holderIdentity === second.identity,
      within('it is written'),
    )
    const cutAtMs = performance.now()
    await cutOff.proxy.set({ do: 'stall' })
    await eventually(isAlone(third), within('the third leads'))
    assert.ok(performance.now() - cutAtMs < 5_000, `${performance.now() - cutAtMs} ms`)
    assert.equal(await secondOutcome, 'lost')
    const { spec } = await admin.get(LEASES, namespace, 'operator')
    assert.deepEqual([spec?.holderIdentity, spec?.leaseTransitions], [third.identity, 2])
    end[2].abort()
    assert.equal(await thirdOutcome, 'ended')
    assert.ok(!(await admin.get(LEASES, namespace, 'operator')).spec?.holderIdentity)
  })

  test('one whose Lease is deleted leads no more within a second', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { namespace } = await throughProxy(t)
    const end = new AbortController()
    t.after(() => end.abort())
    const only = candidate(adminTransport, namespace, 'only')
    const outcome = only.lead(end.signal, aborted)
    await eventually(() => only.isLeader(), within('it leads'))
    const { uid } = (await admin.get(LEASES, namespace, 'operator')).metadata
    await admin.delete(LEASES, namespace, 'operator', { uid: uid! })
    const deletedAtMs = performance.now()
    assert.equal(await outcome, 'lost')
    assert.ok(performance.now() - deletedAtMs < 1_000, `${performance.now() - deletedAtMs} ms`)
    assert.equal(await admin.find(LEASES, namespace, 'operator'), undefined, 'and does not make it anew by its renewal')
  })

  test('of ten at once, one leads, and a second write from an old version is a conflict', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const { namespace } = await throughProxy(t)
    const end = new AbortController()
    const all = Array.from({ length: 10 }, (_, index) => candidate(adminTransport, namespace, `c${index}`))
    const outcomes = all.map((each) => each.lead(end.signal, aborted))
    await eventually(() => all.some((each) => each.isLeader()), within('one leads'))
    const untilMs = performance.now() + 2_000
    await eventually(() => {
      assert.equal(all.filter((each) => each.isLeader()).length, 1)
      return performance.now() > untilMs
    }, within('two seconds pass'))
    const seen = await admin.get(LEASES, namespace, 'operator')
    const label = (value: string) => ({ ...seen, metadata: { ...seen.metadata, labels: { value } } })
    await eventually(
      async () => (await admin.get(LEASES, namespace, 'operator')).metadata.resourceVersion !== seen.metadata.resourceVersion,
      within('it renews'),
    )
    await assert.rejects(admin.replace(LEASES, label('late')), isConflict)
    end.abort()
    assert.ok((await Promise.all(outcomes)).every((outcome) => outcome === 'ended'))
  })
})

test('members keep Leases that a watcher sees; one that is cut off expires, one that ends is gone', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const watcher = await throughProxy(t)
  const cutOff = await throughProxy(t)
  const { namespace } = watcher
  const end = new AbortController()
  t.after(() => end.abort())
  const store = new Store<Lease>()
  const shared = { env: ENV, transport: watcher.transport, store, namespace, labelSelector: 'carrel.dev/gateway' }
  const holders = new LiveHolders({ ...shared, removeAfterDurations: 1 })
  void reflect({ ...shared, resource: LEASES }, end.signal)
  void holders.run(end.signal)
  const keep = (transport: Transport, name: string, signal: AbortSignal) =>
    keepLease({ env: ENV, transport, namespace, name, labels: { 'carrel.dev/gateway': 'true' }, durationSeconds: 3, renewMs: 500 }, signal)
  const ofB = new AbortController()
  const members = [keep(cutOff.transport, 'a', end.signal), keep(adminTransport, 'b', ofB.signal)]
  await Promise.all(members.map(({ held }) => held))
  await eventually(() => holders.live().length === 2, within('both are seen'))
  const { uid } = (await admin.get(LEASES, namespace, 'b')).metadata
  await admin.delete(LEASES, namespace, 'b', { uid: uid! })
  await eventually(
    async () => (await admin.find(LEASES, namespace, 'b'))?.metadata.uid !== uid && holders.live().length === 2,
    within('b makes its own anew'),
  )
  await cutOff.proxy.set({ do: 'stall' })
  await watcher.proxy.set({ do: 'refuse' })
  const untilMs = performance.now() + 5_000
  await eventually(() => performance.now() > untilMs, within('five seconds pass'))
  assert.deepEqual(holders.live().toSorted(), ['a', 'b'], 'nobody expires while the watcher sees nothing')
  assert.equal(members[0]!.isHeld(), false)
  await watcher.proxy.set({ do: 'pass' })
  await eventually(() => holders.live().join() === 'b', within('a expires'))
  await eventually(async () => (await admin.find(LEASES, namespace, 'a')) === undefined, within('and is removed'))
  ofB.abort()
  await members[1]!.ended
  await eventually(() => holders.live().length === 0, within('b is gone'))
})

test('a server that is killed and comes back, its history forgotten, answers 410 and is followed on', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { followed, client, transport, namespace, converges } = await watching(t)
  await plane!.stopApiServer()
  await assert.rejects(client.create(LEASES, lease('c', namespace)), TransportError)
  await eventually(() => (followed.counters.restarts['cut'] ?? 0) >= 2, within('it is away'))
  await plane!.startApiServer()
  await admin.create(LEASES, lease('d', namespace))
  await converges()
  assert.ok(followed.store.get(namespace, 'd'))

  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`
  const said: unknown[] = []
  try {
    const signal = AbortSignal.timeout(20_000)
    for await (const event of transport.watch({ path, query: { watch: 'true', resourceVersion: '1' }, signal })) {
      said.push(event)
      if (event.type === 'ERROR') break
    }
  } catch (error) {
    said.push(error)
  }
  const first = said[0] as { type?: string; object?: { code: number } }
  assert.ok(isGone(first) || (first?.type === 'ERROR' && first.object?.code === 410), JSON.stringify(said).slice(0, 500))
})
