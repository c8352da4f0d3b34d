/**
 * Leader election on a Lease. Promised: of all candidates for one Lease, at most one answers `isLeader()` with yes at any
 * moment, whatever the network, the wall clocks and the scheduler do, as long as no two monotonic clocks differ in speed by
 * more than leaseDuration / renewDeadline.
 *
 * How: a term lasts `renewDeadlineMs` from before its last renewal was *sent*; another takes the Lease only when its record
 * has not changed for `leaseDurationMs`, which is longer, since it was *seen*, and by compare-and-set. Both are measured on
 * the own monotonic clock; times in the record are for people.
 *
 * Not promised: that a write of a former leader, sent in time, does not arrive late; nor anything about the half second in
 * which a leader has not noticed yet that somebody deleted or emptied its Lease by hand.
 */
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { uuid } from '../env/random.ts'
import { boundedTransport } from './bounded-transport.ts'
import { KubeClient } from './client.ts'
import { ApiError, isConflict, isNotFound } from './errors.ts'
import { LEASES, renewTimeOf, type Lease } from './lease.ts'
import { Term } from './term.ts'
import type { Transport } from './transport.ts'

export interface ElectionOptions {
  env: Env
  /** Not a fenced one. */
  transport: Transport
  namespace: string
  /** The Lease's name: one for all who compete. */
  name: string
  /** Shown in the record, with a random suffix that makes it this process's alone. */
  identity: string
  /** How long an unchanged record keeps others away; whole seconds. Default 3,000. */
  leaseDurationMs?: number
  /** How long a term lasts without a renewal. Default 2,000. */
  renewDeadlineMs?: number
  /** Between two renewals, and between two looks of one who waits. Default 500. */
  retryPeriodMs?: number
}

/** `ended`: the work ended, or never began, because the caller wanted it so. `lost`: another may lead; the process must exit. */
export type Outcome = 'ended' | 'lost'

const RELEASE_ATTEMPTS = 3

export class Candidate {
  readonly identity: string
  readonly #env: Env
  readonly #client: KubeClient
  readonly #namespace: string
  readonly #name: string
  readonly #leaseDurationMs: number
  readonly #renewDeadlineMs: number
  readonly #retryPeriodMs: number
  /** The record as it was last seen to change; 'absent' is a state of it, too. */
  #seen: { version: string; atMs: number } | undefined
  #term: Term | undefined
  #renewals = 0

  constructor(options: ElectionOptions) {
    const { env, transport, namespace, name, identity } = options
    this.#env = env
    this.#namespace = namespace
    this.#name = name
    this.identity = `${identity}_${uuid(env.random)}`
    this.#leaseDurationMs = options.leaseDurationMs ?? 3_000
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 2_000
    this.#retryPeriodMs = options.retryPeriodMs ?? 500
    checkTimes(this.#leaseDurationMs, this.#renewDeadlineMs, this.#retryPeriodMs)
    // Several attempts must fit into a term, or one lost packet would end it.
    this.#client = new KubeClient(boundedTransport(env, transport, Math.floor(this.#renewDeadlineMs / 3)))
  }

  /** Whether this process leads at this very moment. A no, once it has led, is for ever. */
  isLeader(): boolean {
    return this.#term?.isValid() ?? false
  }

  /**
   * Waits to be elected, then runs `work` until it ends. `leading` aborts when `signal` does (the term goes on until the work
   * has ended, then the Lease is released) and when the term is lost (then this resolves at once, without waiting for the work).
   * Once per candidate.
   */
  async lead(signal: AbortSignal, work: (leading: AbortSignal) => Promise<void>): Promise<Outcome> {
    if (this.#term) throw new Error(`${this.identity} has led already: a new term takes a new candidate`)
    const { log } = this.#env
    const fields = { lease: `${this.#namespace}/${this.#name}`, identity: this.identity }
    const term = await this.#acquire(signal)
    if (term === undefined) return 'ended'
    if (signal.aborted) {
      await this.#release(term)
      return 'ended'
    }
    log.info(fields, 'leading')
    const resign = (): void => term.resign()
    signal.addEventListener('abort', resign, { once: true })
    void this.#keepRenewing(term)
    const working = this.#work(term, work)
    try {
      const outcome = await Promise.race([working.then((): Outcome => 'ended'), term.lost.then((): Outcome => 'lost')])
      if (outcome === 'ended' && term.isValid()) await this.#release(term)
      const isLost = term.isLost
      if (isLost) log.error(fields, 'the Lease is lost; this process must end')
      return isLost ? 'lost' : outcome
    } catch (error) {
      await this.#release(term)
      throw error
    } finally {
      signal.removeEventListener('abort', resign)
      term.end()
    }
  }

  /** An error of the work after the loss is nobody's any more. */
  async #work(term: Term, work: (leading: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await work(term.signal)
    } catch (error) {
      if (!term.isLost) throw error
      this.#env.log.warn({ err: error }, 'the work of a lost term failed')
    }
  }

  /** Undefined when the signal aborted first. */
  async #acquire(signal: AbortSignal): Promise<Term | undefined> {
    while (!signal.aborted) {
      let waitMs = this.#retryPeriodMs
      try {
        const attempt = await this.#attempt()
        // Paused before the answer was read, it may be over before it began.
        if (attempt instanceof Term && attempt.isValid()) return (this.#term = attempt)
        if ('waitMs' in attempt) waitMs = Math.min(attempt.waitMs, this.#retryPeriodMs)
      } catch (error) {
        this.#logFailure(error, 'the Lease could not be looked at or taken; it will be tried again')
      }
      await sleep(this.#env.clock, waitMs, signal)
    }
    return undefined
  }

  async #attempt(): Promise<Term | { waitMs: number }> {
    const { clock } = this.#env
    const found = await this.#client.find(LEASES, this.#namespace, this.#name)
    const unchangedMs = this.#unchangedFor(found)
    const holder = found?.spec?.holderIdentity
    const durationMs = Math.max(this.#leaseDurationMs, (found?.spec?.leaseDurationSeconds ?? 0) * 1000)
    // A deleted Lease may still have a holder who has not noticed.
    const isFree = found ? !holder || holder === this.identity : unchangedMs === Infinity
    if (!isFree && unchangedMs < durationMs) return { waitMs: durationMs - unchangedMs }

    const sentAtMs = clock.monotonic()
    const taken = found ? await this.#client.replace(LEASES, this.#takenOver(found)) : await this.#client.create(LEASES, this.#first())
    return new Term(this.#env, taken, this.#renewDeadlineMs, sentAtMs)
  }

  /** Since when we see this record, which is later than when it was written. Infinity: absent, and never seen present. */
  #unchangedFor(found: Lease | undefined): number {
    const nowMs = this.#env.clock.monotonic()
    const version = found?.metadata.resourceVersion ?? 'absent'
    if (version === 'absent' && this.#seen === undefined) return Infinity
    if (this.#seen?.version !== version) this.#seen = { version, atMs: nowMs }
    return nowMs - this.#seen.atMs
  }

  async #keepRenewing(term: Term): Promise<void> {
    const { clock } = this.#env
    let dueMs = clock.monotonic() + this.#retryPeriodMs
    while (term.isValid()) {
      await sleep(clock, dueMs - clock.monotonic(), term.over)
      dueMs = clock.monotonic() + this.#retryPeriodMs
      if (term.isValid()) await this.#renew(term)
    }
  }

  async #renew(term: Term): Promise<void> {
    const sentAtMs = this.#env.clock.monotonic()
    try {
      const { lease } = term
      const renewed = await this.#client.replace(LEASES, { ...lease, spec: { ...lease.spec, renewTime: this.#renewTime() } })
      term.renewed(renewed, sentAtMs)
    } catch (error) {
      if (isNotFound(error)) term.lose()
      else if (isConflict(error)) await this.#lookAgain(term)
      else this.#logFailure(error, 'the Lease could not be renewed; it will be tried again')
    }
  }

  /** The record moved: by a renewal of ours whose answer was lost, by somebody's label, or because it is another's now. */
  async #lookAgain(term: Term): Promise<void> {
    try {
      const found = await this.#client.find(LEASES, this.#namespace, this.#name)
      if (found?.spec?.holderIdentity !== this.identity) return term.lose()
      term.lease = found
      if (!term.isValid()) return
      const sentAtMs = this.#env.clock.monotonic()
      term.renewed(await this.#client.replace(LEASES, { ...found, spec: { ...found.spec, renewTime: this.#renewTime() } }), sentAtMs)
    } catch (error) {
      this.#logFailure(error, 'the Lease could not be renewed; it will be tried again')
    }
  }

  /** So that the next one need not wait for the record to age. From before it is sent on, this one leads no more. */
  async #release(term: Term): Promise<void> {
    term.end()
    let { lease } = term
    try {
      for (let attempt = 1; lease.spec?.holderIdentity === this.identity; attempt += 1) {
        const released = { ...lease, spec: { ...lease.spec, holderIdentity: '', renewTime: this.#renewTime() } }
        try {
          await this.#client.replace(LEASES, released)
          return this.#env.log.info({ identity: this.identity }, 'the Lease is released')
        } catch (error) {
          if (!isConflict(error) || attempt >= RELEASE_ATTEMPTS) throw error
          lease = await this.#client.get(LEASES, this.#namespace, this.#name)
        }
      }
    } catch (error) {
      this.#logFailure(error, 'the Lease could not be released; it will age')
    }
  }

  #takenOver(found: Lease): Lease {
    const isOurs = found.spec?.holderIdentity === this.identity
    const leaseTransitions = (found.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1)
    return { ...found, spec: { ...found.spec, ...this.#ownSpec(), leaseTransitions } }
  }

  #first(): Lease {
    const metadata = { namespace: this.#namespace, name: this.#name }
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: { ...this.#ownSpec(), leaseTransitions: 0 } }
  }

  #ownSpec(): object {
    const time = this.#renewTime()
    return { holderIdentity: this.identity, leaseDurationSeconds: this.#leaseDurationMs / 1000, acquireTime: time, renewTime: time }
  }

  #renewTime(): string {
    return renewTimeOf(this.#env.clock.now(), this.#renewals++)
  }

  /** Another was first: everyday life of one who waits. */
  #logFailure(error: unknown, message: string): void {
    const { log } = this.#env
    if (error instanceof ApiError && error.status === 409) log.debug({ err: error }, message)
    else log.warn({ lease: `${this.#namespace}/${this.#name}`, err: error }, message)
  }
}

function checkTimes(leaseDurationMs: number, renewDeadlineMs: number, retryPeriodMs: number): void {
  if (leaseDurationMs <= 0 || leaseDurationMs % 1000 !== 0)
    throw new Error(`leaseDurationMs is ${leaseDurationMs}: a Lease's record speaks of whole seconds`)
  if (!(renewDeadlineMs < leaseDurationMs))
    throw new Error(`renewDeadlineMs (${renewDeadlineMs}) must be less than leaseDurationMs (${leaseDurationMs}), or two may lead at once`)
  if (!(retryPeriodMs > 0 && retryPeriodMs * 2 <= renewDeadlineMs))
    throw new Error(
      `retryPeriodMs (${retryPeriodMs}) must be at most half of renewDeadlineMs (${renewDeadlineMs}), or one lost packet ends a term`,
    )
}
