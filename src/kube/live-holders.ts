/**
 * Who holds a Lease of a collection, from a watch-fed store of them. A member is never taken for dead by mistake: it counts
 * as live until its record, unchanged for its whole duration since we *saw* it change, is still unchanged in a quorum read
 * that was asked for after that. So silence proves nothing: while the API server is away, or our watch is behind, nobody
 * expires. First seen counts as changed.
 *
 * What is not known at once is a new member. Who must not miss one asks `refresh` first; `asOfMs` says how old the knowledge is.
 */
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { boundedTransport } from './bounded-transport.ts'
import { KubeClient } from './client.ts'
import { LEASES, type Lease } from './lease.ts'
import { keyOf, type Store } from './store.ts'
import type { Transport } from './transport.ts'

export interface LiveHoldersOptions {
  env: Env
  transport: Transport
  /** Fed by a reflector with the same namespace and selector. */
  store: Store<Lease>
  namespace: string
  labelSelector: string
  /** A Lease that expired is deleted after so many of its durations more. Default: never. */
  removeAfterDurations?: number
}

interface Member {
  key: string
  name: string
  uid: string
  version: bigint
  /** Our clock, when we saw it as it is. */
  changedAtMs: number
  durationMs: number
  isExpired: boolean
}

const REQUEST_TIMEOUT_MS = 3_000
/** Between two looks at the own table for what is overdue. */
const LOOK_MS = 1_000
/** Of a Lease that does not say. */
const DEFAULT_DURATION_SECONDS = 15

export class LiveHolders {
  readonly #options: LiveHoldersOptions
  readonly #client: KubeClient
  readonly #members = new Map<string, Member>()
  #reading: Promise<boolean> | undefined
  #following: Promise<boolean> | undefined
  #asOfMs: number | undefined

  constructor(options: LiveHoldersOptions) {
    const { env, transport, store } = options
    this.#options = options
    this.#client = new KubeClient(boundedTransport(env, transport, REQUEST_TIMEOUT_MS))
    for (const lease of store.list()) this.#see(lease)
    store.subscribe(({ type, object }) => {
      if (type !== 'deleted') this.#see(object)
      else if (this.#members.get(keyOf(object))?.uid === object.metadata.uid) this.#members.delete(keyOf(object))
    })
  }

  /** Names of the Leases that are held, as far as known. */
  live(): string[] {
    return [...this.#members.values()].filter(({ isExpired }) => !isExpired).map(({ name }) => name)
  }

  /** Monotonic: every member that had written its Lease by then is known. Undefined before the first refresh. */
  get asOfMs(): number | undefined {
    return this.#asOfMs
  }

  /**
   * One quorum read of all Leases: new ones become known, overdue ones that it finds unchanged expire. False when no answer
   * came. Calls share one, but never one that was asked for before the call.
   */
  refresh(): Promise<boolean> {
    if (this.#reading === undefined) return this.#startReading()
    this.#following ??= this.#reading.then(() => {
      this.#following = undefined
      return this.#startReading()
    })
    return this.#following
  }

  /** Looks whenever a Lease is overdue, and removes dead ones where it is told to. Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.env
    while (!signal.aborted) {
      if (this.#isAnyOverdue()) await this.refresh()
      if (!signal.aborted) await this.#removeDead()
      await sleep(clock, LOOK_MS, signal)
    }
  }

  #startReading(): Promise<boolean> {
    this.#reading = this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #read(): Promise<boolean> {
    const { env, namespace, labelSelector } = this.#options
    const askedAtMs = env.clock.monotonic()
    try {
      const { items } = await this.#client.list(LEASES, { namespace, labelSelector })
      const listed = new Set(items.map((lease) => keyOf(lease)))
      // What the watch told meanwhile may be newer than this list.
      for (const { key, changedAtMs } of this.#members.values()) if (!listed.has(key) && changedAtMs < askedAtMs) this.#members.delete(key)
      for (const lease of items) this.#confirm(this.#see(lease), askedAtMs)
      this.#asOfMs = askedAtMs
      return true
    } catch (error) {
      env.log.warn({ err: error }, 'the Leases could not be read; nobody expires meanwhile')
      return false
    }
  }

  /** Takes what is news; a watch that lags behind a list tells none. */
  #see(lease: Lease): Member {
    const key = keyOf(lease)
    const { name, uid, resourceVersion } = lease.metadata
    const version = BigInt(resourceVersion!)
    const known = this.#members.get(key)
    if (known && known.version >= version) return known
    const durationMs = (lease.spec?.leaseDurationSeconds ?? DEFAULT_DURATION_SECONDS) * 1000
    const changedAtMs = this.#options.env.clock.monotonic()
    const member: Member = { key, name, uid: uid!, version, changedAtMs, durationMs, isExpired: false }
    this.#members.set(key, member)
    return member
  }

  /** The member is as a read showed it that was asked for then. */
  #confirm(member: Member, askedAtMs: number): void {
    if (member.isExpired || askedAtMs < member.changedAtMs + member.durationMs) return
    member.isExpired = true
    this.#options.env.log.info({ lease: member.name }, 'a Lease has expired')
  }

  #isAnyOverdue(): boolean {
    const nowMs = this.#options.env.clock.monotonic()
    return [...this.#members.values()].some(({ isExpired, changedAtMs, durationMs }) => !isExpired && nowMs >= changedAtMs + durationMs)
  }

  async #removeDead(): Promise<void> {
    const { env, namespace, removeAfterDurations } = this.#options
    if (removeAfterDurations === undefined) return
    const nowMs = env.clock.monotonic()
    for (const { key, name, uid, version, changedAtMs, durationMs, isExpired } of this.#members.values()) {
      if (!isExpired || nowMs < changedAtMs + durationMs * (1 + removeAfterDurations)) continue
      try {
        await this.#client.delete(LEASES, namespace, name, { uid, resourceVersion: String(version) })
        if (this.#members.get(key)?.uid === uid) this.#members.delete(key)
      } catch (error) {
        env.log.warn({ lease: name, err: error }, 'a dead Lease could not be removed; it will be tried again')
      }
    }
  }
}
