import type { Timer } from '../../env/clock.ts'
import type { OperatorEnv } from '../env.ts'
import type { PingWatch } from './ping.ts'
import type { Watched } from './watched.ts'

/** When the activity store is out of reach: nothing is closed, and asked again soon. */
const RETRY_MS = 1_000

/**
 * Waits for one pod's idle deadline and then closes it in the activity store, which alone knows whether the deadline has
 * moved (design rule 5). Never early: the store's answer says how long is left.
 */
export class IdleWatch {
  closed = false
  readonly #env: OperatorEnv
  readonly #pod: Watched
  readonly #ping: PingWatch
  readonly #changed: () => void
  #timer: Timer | undefined
  #stopped = false

  constructor(env: OperatorEnv, pod: Watched, ping: PingWatch, changed: () => void) {
    this.#env = env
    this.#pod = pod
    this.#ping = ping
    this.#changed = changed
    this.#schedule(pod.idleMs)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return
    this.#timer = this.#env.clock.after(delayMs, () => void this.#due())
  }

  async #due(): Promise<void> {
    try {
      await this.#ping.look() // a HealthyBusy seen now holds the pod open
      if (this.#stopped) return
      const answer = await this.#env.activity.close(this.#pod.podUID, this.#pod.idleMs)
      if (!answer.closed) return this.#schedule(answer.remainingMs)
      this.closed = true
      this.#changed()
    } catch (error) {
      this.#env.log.warn({ pod: this.#pod.podUID, err: error }, 'the activity store did not answer; nothing is closed')
      this.#schedule(RETRY_MS)
    }
  }
}
