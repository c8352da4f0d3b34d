/**
 * Who is there, by Leases: each member keeps one of its own (`keepLease`), and whoever needs to know reads them all
 * (`live-holders.ts`). No election: a Lease's name is its member's alone.
 */
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { boundedTransport } from './bounded-transport.ts'
import { KubeClient } from './client.ts'
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts'
import { LEASES, renewTimeOf, type Lease } from './lease.ts'
import type { Transport } from './transport.ts'

export interface MembershipOptions {
  env: Env
  transport: Transport
  namespace: string
  /** The member's own, and no other's: it is also written as the holder. */
  name: string
  labels?: Record<string, string>
  /** For so long the member counts as there without a renewal. Default 15. */
  durationSeconds?: number
  /**
   * Between two renewals. Default 3,000: a member that was paused for four fifths of the default duration comes back in time,
   * wherever between two renewals the pause began.
   */
  renewMs?: number
}

export interface KeptLease {
  /** Resolves when the Lease is written for the first time; only then do others know of this member. */
  held: Promise<void>
  /** Resolves after the signal has aborted and the Lease is deleted, or could not be. */
  ended: Promise<void>
  /** Whether others must still count this member in; by our own clock, from before the last renewal was sent. */
  isHeld(): boolean
}

const REQUEST_TIMEOUT_MS = 3_000
const RETRY_MS = 1_000

/** Creates the Lease, renews it, makes it anew when somebody deletes it, and deletes it (by its UID) when the signal aborts. */
export function keepLease(options: MembershipOptions, signal: AbortSignal): KeptLease {
  const keeper = new Keeper(options)
  const ended = keeper.run(signal)
  return { held: keeper.held, ended, isHeld: () => keeper.isHeld() }
}

class Keeper {
  readonly held: Promise<void>
  readonly #options: MembershipOptions
  readonly #client: KubeClient
  readonly #durationSeconds: number
  readonly #renewMs: number
  readonly #resolveHeld: () => void
  #lease: Lease | undefined
  #heldUntilMs = -Infinity
  #renewals = 0

  constructor(options: MembershipOptions) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.held = promise
    this.#resolveHeld = resolve
    this.#options = options
    this.#durationSeconds = options.durationSeconds ?? 15
    this.#renewMs = options.renewMs ?? 3_000
    if (!(this.#renewMs * 2 <= this.#durationSeconds * 1000))
      throw new Error(
        `renewMs (${this.#renewMs}) must be at most half of the duration (${this.#durationSeconds} s), or one lost packet ends it`,
      )
    this.#client = new KubeClient(boundedTransport(options.env, options.transport, Math.min(REQUEST_TIMEOUT_MS, this.#renewMs)))
  }

  isHeld(): boolean {
    return this.#options.env.clock.monotonic() < this.#heldUntilMs
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options.env
    while (!signal.aborted) {
      let waitMs = this.#renewMs
      try {
        await this.#renew()
        this.#resolveHeld()
      } catch (error) {
        waitMs = Math.min(RETRY_MS, this.#renewMs)
        log.warn({ lease: this.#name, err: error }, 'the own Lease could not be renewed; it will be tried again')
      }
      await sleep(clock, waitMs, signal)
    }
    await this.#leave()
  }

  async #renew(): Promise<void> {
    const sentAtMs = this.#options.env.clock.monotonic()
    this.#lease = this.#lease ? await this.#replace(this.#lease) : await this.#create()
    if (this.#lease) this.#heldUntilMs = sentAtMs + this.#durationSeconds * 1000
    else await this.#renew()
  }

  /** Undefined: look at it anew. */
  async #replace(lease: Lease): Promise<Lease | undefined> {
    try {
      return await this.#client.replace(LEASES, { ...lease, spec: { ...lease.spec, ...this.#spec() } })
    } catch (error) {
      if (isNotFound(error)) return undefined
      if (isConflict(error)) return this.#adopt()
      throw error
    }
  }

  async #create(): Promise<Lease | undefined> {
    const { namespace, name, labels = {} } = this.#options
    try {
      return await this.#client.create(LEASES, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { namespace, name, labels },
        spec: this.#spec(),
      })
    } catch (error) {
      if (isAlreadyExists(error)) return this.#adopt()
      throw error
    }
  }

  /** It is there under our name: an earlier write whose answer was lost, or one that somebody touched. */
  async #adopt(): Promise<Lease | undefined> {
    const { namespace, name, labels = {} } = this.#options
    const found = await this.#client.find(LEASES, namespace, name)
    if (found === undefined) return undefined
    const metadata = { ...found.metadata, labels: { ...found.metadata.labels, ...labels } }
    return this.#client.replace(LEASES, { ...found, metadata, spec: { ...found.spec, ...this.#spec() } })
  }

  async #leave(): Promise<void> {
    this.#heldUntilMs = -Infinity
    const { namespace, name, env } = this.#options
    try {
      const uid = this.#lease?.metadata.uid
      if (uid) await this.#client.delete(LEASES, namespace, name, { uid })
    } catch (error) {
      env.log.warn({ lease: this.#name, err: error }, 'the own Lease could not be deleted; it will age')
    }
  }

  #spec(): Lease['spec'] {
    const { env, name } = this.#options
    const renewTime = renewTimeOf(env.clock.now(), this.#renewals++)
    return { holderIdentity: name, leaseDurationSeconds: this.#durationSeconds, renewTime }
  }

  get #name(): string {
    return `${this.#options.namespace}/${this.#options.name}`
  }
}
