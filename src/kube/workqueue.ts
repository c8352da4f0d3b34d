import type { Timer } from '../env/clock.ts'
import type { Env } from '../env/env.ts'

/**
 * Keys to work on, each at most once at a time, none lost: a key added while it is being worked on comes again after
 * `done` (client-go's semantics). Delays are per key and the earliest wins.
 */
export class WorkQueue {
  readonly #env: Env
  readonly #baseDelayMs: number
  readonly #maxDelayMs: number
  readonly #ready: string[] = []
  readonly #dirty = new Set<string>()
  readonly #processing = new Set<string>()
  readonly #delayed = new Map<string, { atMs: number; timer: Timer }>()
  readonly #failures = new Map<string, number>()
  readonly #takers: ((key: string | undefined) => void)[] = []

  constructor(env: Env, options: { baseDelayMs?: number; maxDelayMs?: number } = {}) {
    this.#env = env
    this.#baseDelayMs = options.baseDelayMs ?? 10
    this.#maxDelayMs = options.maxDelayMs ?? 30_000
  }

  /** Keys that wait to be taken now. */
  get length(): number {
    return this.#ready.length
  }

  add(key: string): void {
    if (this.#dirty.has(key)) return
    this.#dirty.add(key)
    if (!this.#processing.has(key)) this.#offer(key)
  }

  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) return this.add(key)
    const atMs = this.#env.clock.monotonic() + delayMs
    const pending = this.#delayed.get(key)
    if (pending && pending.atMs <= atMs) return
    pending?.timer.cancel()
    const timer = this.#env.clock.after(delayMs, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { atMs, timer })
  }

  /** After the key's own exponential backoff, with up to half of it as jitter. */
  addBackedOff(key: string): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const delayMs = Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs)
    this.addAfter(key, delayMs * (1 + this.#env.random.fraction() / 2))
  }

  /** The key succeeded: its next failure begins with the shortest delay again. */
  forget(key: string): void {
    this.#failures.delete(key)
  }

  /** The next key; undefined once the signal has aborted. Answer it with `done`. */
  get(signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    const key = this.#ready.shift()
    if (key !== undefined) return Promise.resolve(this.#take(key))
    return new Promise((resolve) => {
      const stop = (): void => {
        this.#takers.splice(this.#takers.indexOf(taker), 1)
        resolve(undefined)
      }
      const taker = (taken: string | undefined): void => {
        signal.removeEventListener('abort', stop)
        resolve(taken)
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#takers.push(taker)
    })
  }

  /** Drops what waits for its time: nothing will take it any more, and a timer keeps a process alive. */
  stop(): void {
    for (const { timer } of this.#delayed.values()) timer.cancel()
    this.#delayed.clear()
  }

  done(key: string): void {
    this.#processing.delete(key)
    if (this.#dirty.has(key)) this.#offer(key)
  }

  #offer(key: string): void {
    const taker = this.#takers.shift()
    if (taker) taker(this.#take(key))
    else this.#ready.push(key)
  }

  #take(key: string): string {
    this.#dirty.delete(key)
    this.#processing.add(key)
    return key
  }
}
