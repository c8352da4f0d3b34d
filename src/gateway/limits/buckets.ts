import type { Clock } from '../../env/clock.ts'

/** More keys than this at once are not kept: the one that was longest unused begins anew. */
const MOST_KEYS = 10_000
const SECOND_MS = 1_000
/** What floating-point sums may be off by. */
const EPSILON_MS = 1e-6

/**
 * Token buckets, one a key, that hold one second's worth. Of each only the time is kept at which it will be full again
 * (GCRA); from then on it is like a new one, so it is forgotten, and a changed rate holds from the next call on.
 */
export class Buckets {
  readonly #clock: Clock
  /** Key → when it is full again, monotonic; least recently used first. */
  readonly #fullAtMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes a token. Answers undefined, or after how many whole milliseconds there is one. */
  take(key: string, perSecond: number): number | undefined {
    const nowMs = this.#clock.monotonic()
    const intervalMs = SECOND_MS / perSecond
    const fullAtMs = Math.max(nowMs, this.#fullAtMs.get(key) ?? nowMs)
    const waitMs = fullAtMs + intervalMs - nowMs - SECOND_MS
    const isTaken = waitMs <= EPSILON_MS
    this.#fullAtMs.delete(key)
    if (isTaken || fullAtMs > nowMs) this.#fullAtMs.set(key, isTaken ? fullAtMs + intervalMs : fullAtMs)
    this.#forget(nowMs)
    return isTaken ? undefined : Math.ceil(waitMs - EPSILON_MS)
  }

  /** Keys that are kept. */
  get size(): number {
    return this.#fullAtMs.size
  }

  #forget(nowMs: number): void {
    for (const [key, fullAtMs] of this.#fullAtMs) {
      if (fullAtMs > nowMs && this.#fullAtMs.size <= MOST_KEYS) return
      this.#fullAtMs.delete(key)
    }
  }
}
