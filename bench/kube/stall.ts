/** Adapter: the longest time for which the event loop of this process did nothing else. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The first two count from tick to tick, so that a loop with nothing to do shows a little more than 1 ms. */
export interface Stall {
  /** By Node's own monitor. */
  monitorMs: number
  /** By a timer of ours, in case the monitor looks away. */
  tickerMs: number
  /** Of the ticker's, what this thread itself computed: on a machine that is shared, the rest is waiting for a core. */
  ownMs: number
}

export class StallWatch {
  readonly #monitor = monitorEventLoopDelay({ resolution: 1 })
  readonly #ticker: NodeJS.Timeout
  #longestMs = 0
  #longestOwnMs = 0
  #lastMs = performance.now()
  #lastOwnMs = ownCpuMs()

  constructor() {
    this.#monitor.enable()
    this.#ticker = setInterval(() => this.#tick(), 1)
  }

  /** What stalled since the last call. */
  take(): Stall {
    this.#tick()
    const stall = { monitorMs: this.#monitor.max / 1e6, tickerMs: this.#longestMs, ownMs: this.#longestOwnMs }
    this.#monitor.reset()
    this.#longestMs = 0
    this.#longestOwnMs = 0
    return stall
  }

  stop(): void {
    clearInterval(this.#ticker)
    this.#monitor.disable()
  }

  #tick(): void {
    const nowMs = performance.now()
    const ownMs = ownCpuMs()
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#lastMs)
    this.#longestOwnMs = Math.max(this.#longestOwnMs, ownMs - this.#lastOwnMs)
    this.#lastMs = nowMs
    this.#lastOwnMs = ownMs
  }
}

function ownCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
