import type { Timer } from '../../env/clock.ts'
import type { OperatorEnv } from '../env.ts'
import type { PingWatch } from './ping.ts'
import type { Watched } from './watched.ts'

/** Names of the gateways that are there right now, by the API server's word; undefined when it has none. */
export type LiveGateways = () => Promise<readonly string[] | undefined>

/** When the activity store or the API server is out of reach: nothing is closed, and asked again soon. */
const RETRY_MS = 1_000
/** Between two looks at a pod that is still starting when its idle time would be over. */
const STARTING_MS = 500
/** So long before the deadline the gateways are asked for: then nothing but the store has to be asked at it. */
const AHEAD_MS = 1_000

/**
 * Waits for one pod's idle deadline and then closes it in the activity store, which alone knows whether the deadline has
 * moved (design rule 5). Never early: the store's answer says how long is left.
 */
export class IdleWatch {
  closed = false
  readonly #env: OperatorEnv
  readonly #pod: Watched
  readonly #ping: PingWatch
  readonly #gateways: LiveGateways
  readonly #changed: () => void
  #timer: Timer | undefined
  #stopped = false

  /** `gateways`: who must have been heard of by the store before it closes anything. */
  constructor(env: OperatorEnv, pod: Watched, ping: PingWatch, gateways: LiveGateways, changed: () => void) {
    this.#env = env
    this.#pod = pod
    this.#ping = ping
    this.#gateways = gateways
    this.#changed = changed
    // A running one was watched by a leader before: its deadline may be near, or its close half done.
    this.#schedule(pod.started ? 0 : pod.idleMs)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return
    const { clock } = this.#env
    if (delayMs <= AHEAD_MS) this.#timer = clock.after(delayMs, () => void this.#due())
    else {
      this.#timer = clock.after(delayMs - AHEAD_MS, () => {
        this.#schedule(AHEAD_MS)
        void this.#gateways()
      })
    }
  }

  async #due(): Promise<void> {
    try {
      await this.#ping.look() // a HealthyBusy seen now holds the pod open
      if (this.#stopped) return
      if (!this.#ping.started) return this.#schedule(STARTING_MS) // what never starts has a deadline of its own
      const gateways = await this.#gateways()
      if (gateways === undefined) return this.#schedule(RETRY_MS) // whoever is not known may have it open
      if (this.#stopped) return
      const answer = await this.#env.activity.close(this.#pod.podUID, this.#pod.idleMs, gateways)
      if (!answer.closed) return this.#schedule(answer.remainingMs)
      this.closed = true
      this.#changed()
    } catch (error) {
      this.#env.log.warn({ pod: this.#pod.podUID, err: error }, 'the activity store did not answer; nothing is closed')
      this.#schedule(RETRY_MS)
    }
  }
}
