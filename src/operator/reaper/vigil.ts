import type { OperatorEnv } from '../env.ts'
import { IdleWatch } from './idle.ts'
import { PingWatch } from './ping.ts'
import type { Watched } from './watched.ts'

export interface Verdict {
  /** A first good ping was seen. */
  started: boolean
  /** Why it is unhealthy, after enough misses in a row. */
  unhealthy: string | undefined
  /** The activity store has closed it: nothing is or will be routed to it. */
  idleClosed: boolean
  /** What the last ping said, for people. */
  lastPing: string
}

/**
 * The reaper's eyes: watches each live pod by ping and by idle deadline, and wakes the session's reconcile when the
 * verdict changes. It decides nothing and writes nothing but the activity store: ending a session is the reconcile's.
 */
export class Vigil {
  readonly #env: OperatorEnv
  readonly #wake: (sessionKey: string) => void
  readonly #watches = new Map<string, { ping: PingWatch; idle: IdleWatch }>()

  constructor(env: OperatorEnv, wake: (sessionKey: string) => void) {
    this.#env = env
    this.#wake = wake
  }

  /** Begins to watch, or updates what is known of the pod. */
  keep(pod: Watched): void {
    const watch = this.#watches.get(pod.podUID)
    if (watch) return watch.ping.locate(pod.address)
    const wake = (): void => this.#wake(pod.sessionKey)
    const ping = new PingWatch(this.#env, pod, wake)
    const idle = new IdleWatch(this.#env, pod, ping, wake)
    this.#watches.set(pod.podUID, { ping, idle })
  }

  drop(podUID: string | undefined): void {
    if (podUID === undefined) return
    const watch = this.#watches.get(podUID)
    watch?.ping.stop()
    watch?.idle.stop()
    this.#watches.delete(podUID)
  }

  verdictOn(podUID: string): Verdict {
    const watch = this.#watches.get(podUID)
    return {
      started: watch?.ping.started ?? false,
      unhealthy: watch?.ping.unhealthy,
      idleClosed: watch?.idle.closed ?? false,
      lastPing: watch?.ping.story ?? 'the agent was not asked yet',
    }
  }

  stop(): void {
    for (const podUID of this.#watches.keys()) this.drop(podUID)
  }
}
