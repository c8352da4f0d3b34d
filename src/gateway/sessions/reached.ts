import type { GatewayEnv } from '../env.ts'
import type { Reach, UpstreamPod } from '../upstream.ts'

/** Between two dials of a port that does not listen yet, or of a pod whose meter comes a little later. */
const REDIAL_MS = 25
/** A pod that has been listening for longer without proving itself is asked less often. */
const SOON_MS = 2_000
const LATER_MS = 250
/** Timers may be early by so much: whoever has waited as told is not to wait once more. */
const EARLY_MS = 5
/** A dial that ends after its pod's end leaves one; the oldest go. */
const MOST_FAILURES = 1_000

interface Failure {
  reach: Reach
  atMs: number
  /** Since when its port answers and it is not proven; undefined while nothing listens. */
  unprovenSinceMs: number | undefined
}

/**
 * Which pods have answered, and proven which they are. Calls of one pod share each attempt and its failure, so that however many
 * wait for it, it is dialled as often as for one.
 */
export class Reached {
  readonly #env: Pick<GatewayEnv, 'clock' | 'log' | 'dial'>
  readonly #timeoutMs: number
  readonly #connected = new Set<string>()
  readonly #dialling = new Map<string, Promise<Reach>>()
  readonly #failed = new Map<string, Failure>()

  /** `timeoutMs`: for each connection. */
  constructor(env: Pick<GatewayEnv, 'clock' | 'log' | 'dial'>, timeoutMs: number) {
    this.#env = env
    this.#timeoutMs = timeoutMs
  }

  /** Dials the pod unless it has answered before, or did not just now. */
  async reach(pod: UpstreamPod): Promise<Reach> {
    if (this.#connected.has(pod.uid)) return 'connected'
    const failed = this.#failed.get(pod.uid)
    if (failed && this.pauseMs(pod.uid) > EARLY_MS) return failed.reach
    const dialling = this.#dialling.get(pod.uid) ?? this.#dial(pod).finally(() => this.#dialling.delete(pod.uid))
    this.#dialling.set(pod.uid, dialling)
    return dialling
  }

  /** How long to wait before it is worth while to ask again. */
  pauseMs(podUID: string): number {
    const failed = this.#failed.get(podUID)
    if (failed === undefined) return REDIAL_MS
    const { atMs, unprovenSinceMs = atMs } = failed
    const periodMs = atMs - unprovenSinceMs > SOON_MS ? LATER_MS : REDIAL_MS
    return Math.max(0, atMs + periodMs - this.#env.clock.monotonic())
  }

  /** It has not taken a call: it is dialled before the next one. */
  refused(podUID: string): void {
    this.#connected.delete(podUID)
  }

  /** The pod is gone. */
  forget(podUID: string): void {
    this.#connected.delete(podUID)
    this.#failed.delete(podUID)
  }

  async #dial(pod: UpstreamPod): Promise<Reach> {
    const reach = await this.#env.dial.connect(pod, this.#timeoutMs)
    if (reach === 'connected') {
      this.#failed.delete(pod.uid)
      this.#connected.add(pod.uid)
      return reach
    }
    const before = this.#failed.get(pod.uid)
    if (reach === 'otherPod' && before?.reach !== reach) {
      this.#env.log.warn({ podUID: pod.uid, address: pod.address }, "another pod answers at the session's address: nothing is sent to it")
    }
    const atMs = this.#env.clock.monotonic()
    this.#failed.delete(pod.uid)
    if (this.#failed.size >= MOST_FAILURES) for (const oldest of this.#failed.keys().take(1)) this.#failed.delete(oldest)
    this.#failed.set(pod.uid, { reach, atMs, unprovenSinceMs: reach === 'refused' ? undefined : (before?.unprovenSinceMs ?? atMs) })
    return reach
  }
}
