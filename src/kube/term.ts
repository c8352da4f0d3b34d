import type { Timer } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import type { Lease } from './lease.ts'

/**
 * One term of a leader (`leader.ts`): valid for `renewDeadlineMs` from before its last renewal was sent, by the monotonic
 * clock. A timer ends it, and so does whoever asks too late: a process that was paused wakes with both overdue.
 */
export class Term {
  /** As it was written last. */
  lease: Lease
  readonly lost: Promise<void>
  readonly #env: Env
  readonly #renewDeadlineMs: number
  readonly #leading = new AbortController()
  readonly #over = new AbortController()
  readonly #resolveLost: () => void
  #validUntilMs: number
  #timer: Timer | undefined
  #state: 'held' | 'lost' | 'ended' = 'held'

  constructor(env: Env, lease: Lease, renewDeadlineMs: number, sentAtMs: number) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.lost = promise
    this.#resolveLost = resolve
    this.#env = env
    this.#renewDeadlineMs = renewDeadlineMs
    this.lease = lease
    this.#validUntilMs = sentAtMs + renewDeadlineMs
    this.#arm()
  }

  /** Aborts when the work must end: resigned, or lost. */
  get signal(): AbortSignal {
    return this.#leading.signal
  }

  /** Aborts when there is nothing more to renew. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  get isLost(): boolean {
    return this.#state === 'lost'
  }

  isValid(): boolean {
    if (this.#state === 'held' && this.#env.clock.monotonic() >= this.#validUntilMs) this.lose()
    return this.#state === 'held'
  }

  /** An answer that comes after the end changes nothing; one that wrote nothing new was seen by nobody. */
  renewed(lease: Lease, sentAtMs: number): void {
    if (!this.isValid() || lease.metadata.resourceVersion === this.lease.metadata.resourceVersion) return
    this.lease = lease
    this.#validUntilMs = sentAtMs + this.#renewDeadlineMs
    this.#arm()
  }

  /** Asks the work to end; the term goes on meanwhile. */
  resign(): void {
    this.#leading.abort()
  }

  lose(): void {
    if (this.#state !== 'held') return
    this.#finish('lost')
    this.#resolveLost()
  }

  end(): void {
    if (this.#state === 'held') this.#finish('ended')
  }

  #finish(state: 'lost' | 'ended'): void {
    this.#state = state
    this.#timer?.cancel()
    this.#leading.abort()
    this.#over.abort()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = this.#env.clock.after(this.#validUntilMs - this.#env.clock.monotonic(), () => this.#due())
  }

  /** Timers may come a little early; the deadline is what the clock says. */
  #due(): void {
    if (this.isValid()) this.#arm()
  }
}
