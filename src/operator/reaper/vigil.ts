import type { Timer } from '../../env/clock.ts'
import type { OperatorEnv } from '../env.ts'
import { IdleWatch, type LiveGateways } from './idle.ts'
import { BUSY_HOLDER, PingWatch } from './ping.ts'
import type { Watched } from './watched.ts'

/**
 * The store's time goes on only while somebody calls (`activity/redis/scripts.ts`). This often, so that it does with the
 * last gateway dead too.
 */
const HEARTBEAT_MS = 1_000

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
  readonly #gateways: LiveGateways
  readonly #watches = new Map<string, { ping: PingWatch; idle: IdleWatch }>()
  #heartbeat: Timer | undefined

  /** `gateways`: the live ones, by the names under which they stamp. No pod is closed unless the store has just heard of each. */
  constructor(env: OperatorEnv, wake: (sessionKey: string) => void, gateways: LiveGateways) {
    this.#env = env
    this.#wake = wake
    this.#gateways = gateways
  }

  /** Begins to watch, or updates what is known of the pod. */
  keep(pod: Watched): void {
    const watch = this.#watches.get(pod.podUID)
    if (watch) return watch.ping.locate(pod.address)
    const wake = (): void => this.#wake(pod.sessionKey)
    const ping = new PingWatch(this.#env, pod, wake)
    const idle = new IdleWatch(this.#env, pod, ping, this.#gateways, wake)
    this.#watches.set(pod.podUID, { ping, idle })
    if (this.#heartbeat === undefined) this.#beat()
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
    this.#heartbeat?.cancel()
    this.#heartbeat = undefined
  }

  /** While anything is watched. The operator holds pods by its pings, so this one has nothing to tell. */
  #beat(): void {
    if (this.#watches.size === 0) return void (this.#heartbeat = undefined)
    this.#heartbeat = this.#env.clock.after(HEARTBEAT_MS, () => {
      this.#beat()
      this.#env.activity.stamp(BUSY_HOLDER, []).catch((error: unknown) => {
        this.#env.log.debug({ err: error }, 'the activity store did not take the heartbeat; the next second tries again')
      })
    })
  }
}
