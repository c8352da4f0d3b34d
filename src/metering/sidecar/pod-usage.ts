/** What the pod around this process used, second by second, for as long as the process lives. */
import { sleep, type Clock } from '../../env/clock.ts'
import { add, begin, INTERVAL_MS, toReport, type MeterState, type Reading } from '../integrate.ts'
import type { UsageReport } from '../report.ts'

/** `notVisible`: why nothing can be measured from here. */
export type Sight = { read(): Reading } | { notVisible: string }

export class PodUsage {
  readonly #clock: Clock
  readonly #podUID: string
  readonly #sight: Sight
  readonly #warn: (message: string) => void
  #state: MeterState
  #fault: string | undefined

  constructor(clock: Clock, podUID: string, sight: Sight, warn: (message: string) => void) {
    this.#clock = clock
    this.#podUID = podUID
    this.#sight = sight
    this.#warn = warn
    this.#state = begin(clock.monotonic())
  }

  /** Reads until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if ('notVisible' in this.#sight) return
    for (; !signal.aborted; await sleep(this.#clock, INTERVAL_MS, signal)) this.#read()
  }

  /** As of now: whoever asks for the last word gets it. */
  report(): UsageReport | { notVisible: string } {
    if ('notVisible' in this.#sight) return this.#sight
    this.#read()
    return toReport(this.#podUID, 'Guest', this.#state)
  }

  /** What cannot be read now counts at the next reading: the counters are cumulative. */
  #read(): void {
    if ('notVisible' in this.#sight) return
    try {
      this.#state = add(this.#state, { atMs: this.#clock.monotonic(), ...this.#sight.read() })
      this.#fault = undefined
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error)
      if (fault !== this.#fault) this.#warn(`the pod was not measured (${fault}); the next reading makes up for it`)
      this.#fault = fault
    }
  }
}
