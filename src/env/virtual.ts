import { createHash } from 'node:crypto'
import type { Clock, Timer } from './clock.ts'
import type { Random } from './random.ts'

/** Wall time at which every virtual run begins. */
const VIRTUAL_EPOCH_MS = Date.UTC(2026, 0, 1)

/**
 * A clock that moves only when everything has come to rest: `run` fires timers in order of time, and those of one instant
 * in an order drawn from the seed. A whole installation on it is deterministic, and hours take milliseconds.
 */
export class VirtualClock implements Clock {
  readonly #random: Random
  readonly #timers: VirtualTimer[] = []
  #nowMs = 0
  #sequence = 0

  constructor(random: Random) {
    this.#random = random
  }

  now(): number {
    return VIRTUAL_EPOCH_MS + this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    const timer: VirtualTimer = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      lot: this.#random.fraction(),
      sequence: this.#sequence++,
      run,
      cancelled: false,
    }
    this.#timers.push(timer)
    return { cancel: () => void (timer.cancelled = true) }
  }

  /** Runs until `untilMs` (monotonic) or, when given, until `done()` holds. Throws when nothing is left to happen before that. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      await settled()
      if (done()) return
      const timer = this.#takeNext(untilMs)
      if (timer === undefined) break
      this.#nowMs = timer.atMs
      timer.run()
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  #takeNext(untilMs: number): VirtualTimer | undefined {
    let best = -1
    for (let index = 0; index < this.#timers.length; index += 1) {
      if (best < 0 || isBefore(this.#timers[index]!, this.#timers[best]!)) best = index
    }
    const timer = this.#timers[best]
    if (timer === undefined || timer.atMs > untilMs) return undefined
    this.#timers.splice(best, 1)
    return timer.cancelled ? this.#takeNext(untilMs) : timer
  }
}

interface VirtualTimer {
  atMs: number
  lot: number
  sequence: number
  run: () => void
  cancelled: boolean
}

function isBefore(a: VirtualTimer, b: VirtualTimer): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  return a.lot !== b.lot ? a.lot < b.lot : a.sequence < b.sequence
}

const immediate = globalThis.setImmediate

/** Every promise that can settle without a timer has settled: the macrotask queue comes after all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => immediate(resolve))
}

/** Chance from a seed: SHA-256 in counter mode. Predictable on purpose. */
export function seededRandom(seed: number | string): Random {
  let counter = 0
  const block = (): Buffer => createHash('sha256').update(`${seed}:${counter++}`).digest()
  return {
    bytes(size) {
      const blocks: Buffer[] = []
      for (let length = 0; length < size; length += 32) blocks.push(block())
      return new Uint8Array(Buffer.concat(blocks).subarray(0, size))
    },
    fraction: () => block().readUInt32BE(0) / 2 ** 32,
  }
}
