import type { Timer } from '../../env/clock.ts'
import { sleep } from '../../env/clock.ts'
import { HEARD_MS, type Stamp, type StampAnswer } from '../../activity/activity.ts'
import type { GatewayEnv } from '../env.ts'

/** This often the store hears of this gateway, and of all that it has open (design rule 6). */
const STAMP_PERIOD_MS = 1_000
/**
 * Forward without asking the store only while the acknowledged deadline is more than this away (design rule 5). A call that
 * begins so is told to the store by the next heartbeat. If none gets through, the last one that did is older than HEARD_MS at
 * that deadline, and nothing closes: one second more, for a heartbeat that was under way when the call began.
 */
const GUARD_MS = HEARD_MS + 1_000

interface Hold {
  idleMs: number
  open: number
  /** Monotonic: until when the store said that the pod will not be closed. */
  acknowledgedUntilMs: number
  /** Monotonic; set when the last open call ended and the store was not told yet. */
  releasedAtMs: number | undefined
}

/** What this gateway has open on which pod, told to the activity store in batches. */
export class Holds {
  readonly #env: GatewayEnv
  readonly #name: string
  readonly #pods = new Map<string, Hold>()
  readonly #closed = new Set<string>()
  #storeAnswers = true
  #flushAt: { atMs: number; timer: Timer } | undefined

  /** `name`: this gateway's own among all gateways, while it lives; its Lease in the API carries the same. */
  constructor(env: GatewayEnv, name: string) {
    this.#env = env
    this.#name = name
  }

  /** Tells the store what is open, and with nothing open that it lives, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#env.clock, STAMP_PERIOD_MS, signal)
      await this.#flush()
    }
  }

  /**
   * Counts one more open call. 'closed': the reaper closed the pod, nothing may be sent to it any more. Rejects when the
   * store had to be asked and did not answer.
   */
  async hold(podUID: string, idleMs: number): Promise<'held' | 'closed'> {
    if (this.#closed.has(podUID)) return 'closed'
    const pod = this.#pods.get(podUID) ?? { idleMs, open: 0, acknowledgedUntilMs: -Infinity, releasedAtMs: undefined }
    this.#pods.set(podUID, pod)
    pod.open += 1
    if (pod.acknowledgedUntilMs - this.#env.clock.monotonic() > GUARD_MS) return 'held'
    try {
      await this.#touch({ podUID, idleMs, open: true })
    } catch (error) {
      this.release(podUID)
      throw error
    }
    return this.#closed.has(podUID) ? 'closed' : 'held'
  }

  /** Ends one open call: the idle time runs from here when it was the last. */
  release(podUID: string): void {
    const pod = this.#pods.get(podUID)
    if (pod === undefined) return
    pod.open -= 1
    if (pod.open > 0) return
    const nowMs = this.#env.clock.monotonic()
    pod.releasedAtMs = nowMs
    pod.acknowledgedUntilMs = Math.min(pod.acknowledgedUntilMs, nowMs + pod.idleMs)
    this.#flushWithin(Math.min(STAMP_PERIOD_MS, pod.idleMs / 4))
  }

  /** The pod is gone: nothing of it is kept. */
  forget(podUID: string): void {
    this.#pods.delete(podUID)
    this.#closed.delete(podUID)
  }

  get size(): number {
    return this.#pods.size
  }

  #flushWithin(delayMs: number): void {
    const atMs = this.#env.clock.monotonic() + delayMs
    if (this.#flushAt && this.#flushAt.atMs <= atMs) return
    this.#flushAt?.timer.cancel()
    this.#flushAt = { atMs, timer: this.#env.clock.after(delayMs, () => ((this.#flushAt = undefined), void this.#flush())) }
  }

  async #flush(): Promise<void> {
    const nowMs = this.#env.clock.monotonic()
    const stamps: Stamp[] = []
    for (const [podUID, pod] of this.#pods) {
      if (pod.open > 0) stamps.push({ podUID, idleMs: pod.idleMs, open: true })
      else if (pod.releasedAtMs !== undefined) stamps.push({ podUID, idleMs: pod.idleMs, open: false, agoMs: nowMs - pod.releasedAtMs })
      else if (pod.acknowledgedUntilMs < nowMs) this.#pods.delete(podUID)
    }
    try {
      await this.#stamp(stamps)
      this.#storeAnswers = true
    } catch (error) {
      if (this.#storeAnswers) this.#env.log.warn({ err: error }, 'the activity store did not take the stamps; tried again each second')
      this.#storeAnswers = false
    }
  }

  /** All that is open, as the heartbeat promises. */
  async #stamp(stamps: Stamp[]): Promise<void> {
    const askedAtMs = this.#env.clock.monotonic()
    this.#note(askedAtMs, stamps, await this.#env.activity.stamp(this.#name, stamps))
  }

  async #touch(stamp: Stamp): Promise<void> {
    const askedAtMs = this.#env.clock.monotonic()
    this.#note(askedAtMs, [stamp], [await this.#env.activity.touch(this.#name, stamp)])
  }

  #note(askedAtMs: number, stamps: Stamp[], answers: StampAnswer[]): void {
    const told = new Map(stamps.map((stamp) => [stamp.podUID, stamp]))
    for (const answer of answers) {
      const pod = this.#pods.get(answer.podUID)
      if (pod === undefined) continue
      if (answer.closed) {
        this.#pods.delete(answer.podUID)
        this.#closed.add(answer.podUID)
        continue
      }
      pod.acknowledgedUntilMs = askedAtMs + answer.remainingMs
      const releaseTold = told.get(answer.podUID)?.open === false && pod.releasedAtMs !== undefined && pod.releasedAtMs <= askedAtMs
      if (releaseTold && pod.open === 0) pod.releasedAtMs = undefined
    }
  }
}
