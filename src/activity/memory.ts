import type { Clock } from '../env/clock.ts'
import { FORGET_AFTER_MS, HEARD_MS, OPEN_LEASE_MS, UNHEARD_RETRY_MS } from './activity.ts'
import type { Activity, CloseAnswer, Look, Stamp, StampAnswer } from './activity.ts'

interface Use {
  idleMs: number
  /** Monotonic, of the store. */
  lastActiveMs: number
  /** Holder → until when its last open stamp holds the pod. */
  heldUntilMs: Map<string, number>
  closed: boolean
}

/** The activity store of an installation on one machine: a map, each step atomic by being synchronous. */
export class MemoryActivity implements Activity {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #pods = new Map<string, Use>()
  /** Holder → monotonic time of its last heartbeat. */
  readonly #heardAtMs = new Map<string, number>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  async stamp(holder: string, stamps: readonly Stamp[]): Promise<StampAnswer[]> {
    const answers = stamps.map((stamp) => this.#record(holder, stamp))
    this.#heardAtMs.set(holder, this.#clock.monotonic())
    return answers
  }

  async touch(holder: string, stamp: Stamp): Promise<StampAnswer> {
    return this.#record(holder, stamp)
  }

  #record(holder: string, { podUID, idleMs, open, agoMs = 0 }: Stamp): StampAnswer {
    const pod = this.#known(podUID, idleMs)
    if (pod.closed) return { podUID, closed: true }
    const now = this.#clock.monotonic()
    pod.idleMs = idleMs
    pod.lastActiveMs = Math.max(pod.lastActiveMs, now - agoMs)
    if (open) pod.heldUntilMs.set(holder, now + OPEN_LEASE_MS)
    else pod.heldUntilMs.delete(holder)
    // Only what this holder can rely on: another's lease may end at any moment.
    return { podUID, closed: false, remainingMs: Math.max(pod.lastActiveMs + idleMs, open ? now + OPEN_LEASE_MS : 0) - now }
  }

  async close(podUID: string, idleMs: number, mustHaveBeenHeard: readonly string[]): Promise<CloseAnswer> {
    const pod = this.#known(podUID, idleMs)
    if (pod.closed) return { closed: true }
    const now = this.#clock.monotonic()
    const remainingMs = deadlineOf(pod) - now
    if (remainingMs > 0) return { closed: false, remainingMs }
    const waitingFor = mustHaveBeenHeard.filter((holder) => now - (this.#heardAtMs.get(holder) ?? -Infinity) >= HEARD_MS)
    if (waitingFor.length > 0) return { closed: false, remainingMs: UNHEARD_RETRY_MS, waitingFor }
    pod.closed = true
    return { closed: true }
  }

  async isHeld(podUID: string, otherThan: string): Promise<boolean> {
    const now = this.#clock.monotonic()
    const holders = this.#pods.get(podUID)?.heldUntilMs ?? new Map<string, number>()
    return [...holders].some(([holder, untilMs]) => holder !== otherThan && untilMs > now)
  }

  async register(podUID: string, idleMs: number): Promise<void> {
    this.#known(podUID, idleMs)
  }

  async look(podUIDs: readonly string[]): Promise<Look[]> {
    const now = this.#clock.monotonic()
    return podUIDs.map((podUID): Look => {
      const pod = this.#pods.get(podUID)
      if (pod === undefined) return { podUID, state: 'unknown' }
      if (!pod.closed && [...pod.heldUntilMs.values()].some((untilMs) => untilMs > now)) return { podUID, state: 'active' }
      const remainingMs = pod.closed ? 0 : Math.max(0, pod.lastActiveMs + pod.idleMs - now)
      return { podUID, state: 'idle', idleForMs: now - pod.lastActiveMs, remainingMs }
    })
  }

  async forget(podUIDs: readonly string[]): Promise<void> {
    for (const podUID of podUIDs) this.#pods.delete(podUID)
    this.#sweep()
  }

  /** A stamp that arrives after its pod was forgotten makes an entry that nobody would remove; so does a gateway that ends. */
  #sweep(): void {
    const before = this.#clock.monotonic() - FORGET_AFTER_MS
    for (const [podUID, pod] of this.#pods) if (deadlineOf(pod) < before) this.#pods.delete(podUID)
    for (const [holder, heardAtMs] of this.#heardAtMs) if (heardAtMs < before) this.#heardAtMs.delete(holder)
  }

  /** How many pods are known: nothing may stay behind. */
  get size(): number {
    return this.#pods.size
  }

  #known(podUID: string, idleMs: number): Use {
    let pod = this.#pods.get(podUID)
    if (pod === undefined) {
      pod = { idleMs, lastActiveMs: this.#clock.monotonic(), heldUntilMs: new Map(), closed: false }
      this.#pods.set(podUID, pod)
    }
    return pod
  }
}

function deadlineOf(pod: Use): number {
  return Math.max(pod.lastActiveMs + pod.idleMs, ...pod.heldUntilMs.values())
}
