import type { Timer } from '../../env/clock.ts'
import type { MeterAnswer, MeteredPod, OperatorEnv } from '../env.ts'
import type { Reading } from './session-usage.ts'

/** How often a live pod's meter is read: how much may be unknown when it ends and its meter is gone. */
const READ_EVERY_MS = 10_000
/** How often a live session's usage is written. */
export const WRITE_EVERY_MS = 60_000
/** A meter that goes with its pod holds the deletion of the pod up for so long at most. */
const LAST_WORD_MS = 1_000

export interface Metered extends MeteredPod {
  sessionKey: string
  /** Wall time before which nothing is written. */
  writeFromMs: number
}

interface Watch {
  pod: Metered
  last: Reading | undefined
  /** Why the meter sees nothing of the pod, when it said so last. */
  notVisible: string | undefined
  timer: Timer | undefined
  /** Of a pod that is about to be deleted; absent before. */
  lastWord?: 'awaited' | 'heard' | 'missing'
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
    const watch = this.#watches.get(pod.uid)
    if (watch) return void (watch.pod = pod)
    // An operator that comes back finds many at once: spread, and the first soon.
    this.#plan(this.#begin(pod), (0.5 + this.#env.random.fraction() / 2) * READ_EVERY_MS)
  }

  /** Reads no more; the last reading stays known until it is acknowledged. */
  rest(podUID: string): void {
    this.#watches.get(podUID)?.timer?.cancel()
  }

  last(podUID: string): Reading | undefined {
    return this.#watches.get(podUID)?.last
  }

  /** Why the meter sees nothing of the pod; undefined when it does, or has not answered. */
  notVisible(podUID: string): string | undefined {
    return this.#watches.get(podUID)?.notVisible
  }

  /** The reading that is to be written now, or that there is none. */
  due(podUID: string): Reading | { notVisible: string } | undefined {
    const watch = this.#watches.get(podUID)
    if (watch === undefined) return undefined
    const { last, notVisible, pod } = watch
    if (notVisible !== undefined) return this.#env.clock.now() >= pod.writeFromMs ? { notVisible } : undefined
    return last && last.atMs >= pod.writeFromMs ? last : undefined
  }

  /**
   * The last reading of a pod that is about to be deleted, and its meter with it. Asked for once; `awaited` for a second at most,
   * and the session is woken when that is over. A dead meter holds up this one pod and no reconcile.
   */
  lastWord(pod: Metered): 'awaited' | 'heard' | 'missing' {
    const watch = this.#watches.get(pod.uid) ?? this.#begin(pod)
    if (watch.lastWord) return watch.lastWord
    this.rest(pod.uid)
    if (watch.notVisible !== undefined) return (watch.lastWord = 'heard')
    watch.pod = pod
    watch.lastWord = 'awaited'
    const decide = (word: 'heard' | 'missing'): void => {
      if (watch.lastWord !== 'awaited') return
      tooLate.cancel()
      watch.lastWord = word
      this.#wake(pod.sessionKey)
    }
    const tooLate = this.#env.clock.after(LAST_WORD_MS, () => decide('missing'))
    void this.#read(watch).then((answered) => decide(answered ? 'heard' : 'missing'))
    return 'awaited'
  }

  /** Whether the pod's meter was heard just before the pod was deleted. */
  heardLastWord(podUID: string): boolean {
    return this.#watches.get(podUID)?.lastWord === 'heard'
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
    this.forgetPod(podUID)
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
    if (podUID !== undefined) this.forgetPod(podUID)
    this.#acknowledged.delete(sessionUID)
  }

  stop(): void {
    for (const podUID of this.#watches.keys()) this.forgetPod(podUID)
  }

  /** All is written of the pod that ever will be. */
  forgetPod(podUID: string): void {
    this.rest(podUID)
    this.#watches.delete(podUID)
    this.#finalSinceMs.delete(podUID)
  }

  #begin(pod: Metered): Watch {
    const watch: Watch = { pod, last: undefined, notVisible: undefined, timer: undefined }
    this.#watches.set(pod.uid, watch)
    return watch
  }

  #plan(watch: Watch, delayMs: number): void {
    watch.timer = this.#env.clock.after(delayMs, () => {
      this.#plan(watch, READ_EVERY_MS)
      void this.#read(watch).then(() => {
        if (watch.notVisible !== undefined) this.#sayNotVisible(watch)
        else if (this.due(watch.pod.uid)) this.#wake(watch.pod.sessionKey)
      })
    })
  }

  /** No meter gets to see what it did not: it is not read again, and told once. */
  #sayNotVisible(watch: Watch): void {
    watch.timer?.cancel()
    if (this.#watches.get(watch.pod.uid) !== watch || watch.lastWord) return
    const delayMs = Math.max(0, watch.pod.writeFromMs - this.#env.clock.now())
    watch.timer = this.#env.clock.after(delayMs, () => this.#wake(watch.pod.sessionKey))
  }

  /** Whether the meter answered. Never rejects. */
  async #read(watch: Watch): Promise<boolean> {
    const { uid, sessionUID, address } = watch.pod
    try {
      this.#take(watch, await this.#env.meters.read({ uid, sessionUID, address }))
      return true
    } catch (error) {
      this.#env.log.debug({ podUID: uid, err: error }, 'the meter was not read; the next time tries again')
      return false
    }
  }

  #take(watch: Watch, answer: MeterAnswer): void {
    if (answer === 'unknown' || answer === 'unmetered') return
    if ('notVisible' in answer) return void (watch.notVisible = answer.notVisible)
    watch.notVisible = undefined
    watch.last = { report: answer, atMs: this.#env.clock.now() }
  }
}
