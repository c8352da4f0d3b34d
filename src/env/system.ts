import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** Node refuses longer timers and would fire them at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS))
    return { cancel: () => clearTimeout(timer) }
  },
}

/** The kernel's own chance. */
export const systemRandom: Random = {
  bytes: (size) => new Uint8Array(randomBytes(size)),
  fraction: () => Math.random(),
}
