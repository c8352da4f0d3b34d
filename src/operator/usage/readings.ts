import type { Timer } from '../../env/clock.ts'
import type { OperatorEnv } from '../env.ts'
import type { Reading } from './session-usage.ts'

/** How often a live pod's meter is read: how much may be unknown when it ends and its meter is gone. */
const READ_EVERY_MS = 10_000
/** How often a live session's usage is written. */
export const WRITE_EVERY_MS = 60_000

export interface Metered {
  podUID: string
  sessionKey: string
  /** The pod's. */
  address: string | undefined
  /** Wall time before which nothing is written. */
  writeFromMs: number
}

interface Watch {
  pod: Metered
  last: Reading | undefined
  timer: Timer | undefined
}

/**
 * What the meters of live pods said last. It wakes a session when a reading is to be written, and writes nothing itself. Memory
 * only: a successor reads anew, since readings are cumulative.
 */
export class UsageReadings {
  readonly #env: OperatorEnv
  readonly #wake: (sessionKey: string) => void
  readonly #watches = new Map<string, Watch>()
  /** Monotonic: since when the final reading of a pod that is gone is tried. */
  readonly #finalSinceMs = new Map<string, number>()
  /** By session UID, its last pod whose meter knows that all was written down. */
  readonly #acknowledged = new Map<string, string>()

  constructor(env: OperatorEnv, wake: (sessionKey: string) => void) {
    this.#env = env
    this.#wake = wake
  }

  /** Begins to read, or updates what is known of the pod. */
  keep(pod: Metered): void {
    const watch = this.#watches.get(pod.podUID)
    if (watch) return void (watch.pod = pod)
    const begun: Watch = { pod, last: undefined, timer: undefined }
    this.#watches.set(pod.podUID, begun)
    // An operator that comes back finds many at once: spread, and the first soon.
    this.#plan(begun, (0.5 + this.#env.random.fraction() / 2) * READ_EVERY_MS)
  }

  /** Reads no more; the last reading stays known until it is acknowledged. */
  rest(podUID: string): void {
    this.#watches.get(podUID)?.timer?.cancel()
  }

  last(podUID: string): Reading | undefined {
    return this.#watches.get(podUID)?.last
  }

  /** The reading that is to be written now. */
  due(podUID: string): Reading | undefined {
    const watch = this.#watches.get(podUID)
    return watch?.last && watch.last.atMs >= watch.pod.writeFromMs ? watch.last : undefined
  }

  /** How long the final reading of this pod has been tried, in ms; counts from the first call. */
  finalTriedMs(podUID: string): number {
    const nowMs = this.#env.clock.monotonic()
    const sinceMs = this.#finalSinceMs.get(podUID) ?? nowMs
    this.#finalSinceMs.set(podUID, sinceMs)
    return nowMs - sinceMs
  }

  /** The pod's usage is in the API: its meter may forget it. Once per pod; what fails is tried when the session is next looked at. */
  async acknowledge(sessionUID: string, podUID: string): Promise<void> {
    this.#forget(podUID)
    if (this.#acknowledged.get(sessionUID) === podUID) return
    this.#acknowledged.set(sessionUID, podUID)
    try {
      await this.#env.meters.acknowledge(podUID)
    } catch (error) {
      this.#acknowledged.delete(sessionUID)
      this.#env.log.debug({ podUID, err: error }, 'the meter was not told that its report was written down')
    }
  }

  /** The session is gone. */
  forget(sessionUID: string, podUID: string | undefined): void {
    if (podUID !== undefined) this.#forget(podUID)
    this.#acknowledged.delete(sessionUID)
  }

  stop(): void {
    for (const podUID of this.#watches.keys()) this.#forget(podUID)
  }

  #forget(podUID: string): void {
    this.rest(podUID)
    this.#watches.delete(podUID)
    this.#finalSinceMs.delete(podUID)
  }

  #plan(watch: Watch, delayMs: number): void {
    watch.timer = this.#env.clock.after(delayMs, () => {
      this.#plan(watch, READ_EVERY_MS)
      void this.#read(watch)
    })
  }

  async #read(watch: Watch): Promise<void> {
    const { podUID, address, sessionKey } = watch.pod
    try {
      const report = await this.#env.meters.read(podUID, address)
      if (report === 'unknown' || report === 'unmetered') return
      watch.last = { report, atMs: this.#env.clock.now() }
      if (this.due(podUID)) this.#wake(sessionKey)
    } catch (error) {
      this.#env.log.debug({ podUID, err: error }, 'the meter was not read; the next time tries again')
    }
  }
}
