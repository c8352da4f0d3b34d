import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { TransportError } from '../../src/kube/errors.ts'
import { LEASES, type Lease } from '../../src/kube/lease.ts'
import { LiveHolders } from '../../src/kube/live-holders.ts'
import { keepLease, type KeptLease } from '../../src/kube/membership.ts'
import { reflect } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { faulty, Faults } from '../../src/local/api/faults.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { SILENT } from './quiet-env.ts'

const NAMESPACE = 'carrel-system'
const LABEL = 'carrel.dev/gateway'

/** One API server, members that keep Leases in it, and one who watches them. */
class Club {
  readonly clock: VirtualClock
  readonly faults = new Faults()
  readonly holders: LiveHolders
  readonly admin: KubeClient
  readonly end = new AbortController()
  readonly #api: EmbeddedApi
  readonly #store = new Store<Lease>()
  readonly #transport: Transport

  private constructor(t: TestContext, api: EmbeddedApi, clock: VirtualClock, removeAfterDurations: number | undefined) {
    this.clock = clock
    this.#api = api
    const env = { clock, random: seededRandom('watcher'), log: SILENT }
    // The one who watches meets the faults, and the members do not.
    this.#transport = inProcessTransport(faulty(env, api, this.faults), IDENTITIES.operator)
    this.admin = new KubeClient(inProcessTransport(api, IDENTITIES.admin))
    const transport = this.#transport
    const shared = { env, transport, store: this.#store, namespace: NAMESPACE, labelSelector: LABEL }
    this.holders = new LiveHolders({ ...shared, ...(removeAfterDurations === undefined ? {} : { removeAfterDurations }) })
    void reflect({ ...shared, resource: LEASES, silenceMs: 20_000 }, this.end.signal)
    void this.holders.run(this.end.signal)
    t.after(() => this.end.abort())
  }

  static async open(t: TestContext, options: { removeAfterDurations?: number } = {}): Promise<Club> {
    const clock = new VirtualClock(seededRandom('clock'))
    const env = { clock, random: seededRandom('api'), log: SILENT }
    const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: { async *read() {} } })
    await api.start()
    return new Club(t, api, clock, options.removeAfterDurations)
  }

  join(name: string): Member {
    return new Member(this.clock, inProcessTransport(this.#api, IDENTITIES.gateway), name)
  }

  async advance(ms: number, done?: () => boolean): Promise<void> {
    await this.clock.run(this.clock.monotonic() + ms, done)
  }

  async names(): Promise<string[]> {
    const { items } = await this.admin.list(LEASES, { namespace: NAMESPACE })
    return items.map(({ metadata }) => metadata.name)
  }
}

class Member {
  readonly kept: KeptLease
  readonly end = new AbortController()
  /** Of its own network. */
  isCutOff = false
  hasEnded = false
  isHeldForTheFirstTime = false

  constructor(clock: VirtualClock, inner: Transport, name: string) {
    const transport: Transport = {
      request: async (request) => {
        if (this.isCutOff) throw new TransportError('connection refused')
        return inner.request(request)
      },
      watch: (request) => inner.watch(request),
    }
    const env = { clock, random: seededRandom(name), log: SILENT }
    this.kept = keepLease({ env, transport, namespace: NAMESPACE, name, labels: { [LABEL]: 'true' } }, this.end.signal)
    void this.kept.ended.then(() => (this.hasEnded = true))
    void this.kept.held.then(() => (this.isHeldForTheFirstTime = true))
  }
}

test('a member is seen while it renews, and gone at once when it ends cleanly', async (t) => {
  const club = await Club.open(t)
  const [a, b] = [club.join('gateway-a'), club.join('gateway-b')]
  await club.advance(100)
  assert.ok(a.isHeldForTheFirstTime && a.kept.isHeld())
  assert.deepEqual(club.holders.live().toSorted(), ['gateway-a', 'gateway-b'])
  const { metadata, spec } = (await club.admin.get(LEASES, NAMESPACE, 'gateway-a')) as Lease
  assert.deepEqual(metadata.labels, { [LABEL]: 'true' })
  assert.deepEqual([spec?.holderIdentity, spec?.leaseDurationSeconds], ['gateway-a', 15])
  await club.advance(600_000)
  assert.deepEqual(club.holders.live().toSorted(), ['gateway-a', 'gateway-b'])
  b.end.abort()
  await club.advance(100)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  assert.deepEqual(await club.names(), ['gateway-a'])
  assert.deepEqual([b.hasEnded, b.kept.isHeld()], [true, false])
})

test('a member that is cut off expires after its duration, knows it before the others, and comes back', async (t) => {
  const club = await Club.open(t)
  const member = club.join('gateway-a')
  await club.advance(7_000)
  member.isCutOff = true
  await club.advance(60_000, () => !member.kept.isHeld() || !club.holders.live().includes('gateway-a'))
  assert.equal(member.kept.isHeld(), false)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  await club.advance(2_000)
  assert.deepEqual(club.holders.live(), [])
  assert.deepEqual(await club.names(), ['gateway-a'], 'nobody removes it here')
  member.isCutOff = false
  await club.advance(2_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  assert.equal(member.kept.isHeld(), true)
})

test('a record that is found at the start counts for a whole duration, however old its times are', async (t) => {
  const club = await Club.open(t)
  await club.admin.create(LEASES, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: NAMESPACE, name: 'old', labels: { [LABEL]: 'true' } },
    spec: { holderIdentity: 'old', leaseDurationSeconds: 15, renewTime: '2001-01-01T00:00:00.000000Z' },
  } as Lease)
  await club.advance(14_500)
  assert.deepEqual(club.holders.live(), ['old'])
  await club.advance(2_500)
  assert.deepEqual(club.holders.live(), [])
})

test('nobody expires while the API server is away, and those who went meanwhile do so at once after it', async (t) => {
  const club = await Club.open(t)
  const [a, b] = [club.join('gateway-a'), club.join('gateway-b')]
  await club.advance(5_000)
  const heal = club.faults.set({ do: 'refuse', status: 503 })
  const stall = club.faults.set({ do: 'stale' }, { verbs: ['watch'] })
  b.isCutOff = true
  await club.advance(120_000)
  assert.deepEqual(club.holders.live().toSorted(), ['gateway-a', 'gateway-b'])
  assert.equal(await settled(club, club.holders.refresh()), false)
  heal()
  await club.advance(2_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'], 'though the watch still says nothing')
  void a
  stall()
})

test('a watch that is far behind lets nobody expire, and a late event is no renewal', async (t) => {
  const club = await Club.open(t)
  const member = club.join('gateway-a')
  await club.advance(1_000)
  const heal = club.faults.set({ do: 'stale' }, { verbs: ['watch'] })
  await club.advance(100_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  member.isCutOff = true
  await club.advance(32_000)
  assert.deepEqual(club.holders.live(), [])
  heal()
  await club.advance(1_000)
  assert.deepEqual(club.holders.live(), [], 'what the watch tells now is older than what the reads showed')
})

test('a refresh makes a new member known whatever the watch does, and says as of when', async (t) => {
  const club = await Club.open(t)
  await club.advance(1_000)
  club.faults.set({ do: 'stale' }, { verbs: ['watch'] })
  assert.equal(club.holders.asOfMs, undefined)
  const joinedAtMs = club.clock.monotonic()
  club.join('gateway-a')
  await club.advance(100)
  assert.deepEqual(club.holders.live(), [])
  assert.equal(await settled(club, club.holders.refresh()), true)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  assert.ok(club.holders.asOfMs! > joinedAtMs)
})

test('a refresh never shares a read that was asked for before it', async (t) => {
  const club = await Club.open(t)
  await club.advance(1_000)
  club.faults.set({ do: 'delay', ms: 500 }, { verbs: ['list'] })
  const first = club.holders.refresh()
  await club.advance(100)
  const askedAtMs = club.clock.monotonic()
  const [second, third] = [club.holders.refresh(), club.holders.refresh()]
  assert.equal(second, third)
  await settled(club, first)
  assert.ok(club.holders.asOfMs! < askedAtMs)
  await settled(club, second)
  assert.ok(club.holders.asOfMs! >= askedAtMs)
})

test('the Lease of a dead member is removed after ten durations, by its uid and version; one that comes back is not', async (t) => {
  const club = await Club.open(t, { removeAfterDurations: 10 })
  const [dead, late] = [club.join('dead'), club.join('late')]
  await club.advance(1_000)
  dead.isCutOff = true
  late.isCutOff = true
  await club.advance(160_000)
  assert.deepEqual(await club.names(), ['dead', 'late'])
  late.isCutOff = false
  await club.advance(10_000)
  assert.deepEqual(await club.names(), ['late'])
  assert.deepEqual(club.holders.live(), ['late'])
  dead.isCutOff = false
  await club.advance(2_000)
  assert.deepEqual(club.holders.live().toSorted(), ['dead', 'late'], 'and it makes a new one when it wakes')
})

test('a member that joins while a read is under way is not forgotten by its answer', async (t) => {
  const club = await Club.open(t)
  await club.advance(1_000)
  club.faults.set({ do: 'delay', ms: 500 }, { verbs: ['list'] })
  const reading = club.holders.refresh()
  await club.advance(100)
  club.join('gateway-a')
  await club.advance(100)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  assert.equal(await settled(club, reading), true)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
})

test('a member that came back unseen is not removed, though its time has come', async (t) => {
  const club = await Club.open(t, { removeAfterDurations: 10 })
  const member = club.join('gateway-a')
  await club.advance(1_000)
  const heal = club.faults.set({ do: 'stale' }, { verbs: ['watch'] })
  member.isCutOff = true
  await club.advance(160_000)
  assert.deepEqual(club.holders.live(), [])
  const { uid } = (await club.admin.get(LEASES, NAMESPACE, 'gateway-a')).metadata
  member.isCutOff = false
  await club.advance(20_000)
  assert.equal((await club.admin.get(LEASES, NAMESPACE, 'gateway-a')).metadata.uid, uid)
  heal()
  await club.advance(1_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
})

test('a Lease that somebody deleted or changed is made right again', async (t) => {
  const club = await Club.open(t)
  const member = club.join('gateway-a')
  await club.advance(1_000)
  const { uid } = (await club.admin.get(LEASES, NAMESPACE, 'gateway-a')).metadata
  await club.admin.delete(LEASES, NAMESPACE, 'gateway-a', { uid: uid! })
  await club.advance(6_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  await club.admin.mergePatch(LEASES, NAMESPACE, 'gateway-a', {
    metadata: { labels: { [LABEL]: null } },
    spec: { leaseDurationSeconds: 1 },
  })
  await club.advance(6_000)
  assert.deepEqual(club.holders.live(), ['gateway-a'])
  assert.equal(((await club.admin.get(LEASES, NAMESPACE, 'gateway-a')) as Lease).spec?.leaseDurationSeconds, 15)
  assert.ok(member.kept.isHeld())
  member.end.abort()
  await club.advance(100)
  assert.deepEqual(await club.names(), [])
})

test('at the end, a Lease that was made anew under the same name is not deleted', async (t) => {
  const club = await Club.open(t)
  const member = club.join('gateway-a')
  await club.advance(1_000)
  const { uid } = (await club.admin.get(LEASES, NAMESPACE, 'gateway-a')).metadata
  await club.admin.delete(LEASES, NAMESPACE, 'gateway-a', { uid: uid! })
  await club.admin.create(LEASES, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: NAMESPACE, name: 'gateway-a' },
  })
  member.end.abort()
  await club.advance(100)
  assert.equal(member.hasEnded, true)
  assert.deepEqual(await club.names(), ['gateway-a'])
})

test('times that one lost packet would end are refused', () => {
  const env = { clock: new VirtualClock(seededRandom(1)), random: seededRandom(1), log: SILENT }
  const transport = { request: () => Promise.reject(new TransportError('x')), watch: () => assert.fail() } as Transport
  assert.throws(
    () => keepLease({ env, transport, namespace: 'n', name: 'x', durationSeconds: 5, renewMs: 5_000 }, new AbortController().signal),
    /half/,
  )
})

async function settled<Value>(club: Club, promise: Promise<Value>): Promise<Value | undefined> {
  let value: Value | undefined
  void promise.then((settledTo) => (value = settledTo))
  await club.advance(10_000, () => value !== undefined)
  return value
}
