import type { Timer } from '../../env/clock.ts'
import type { OperatorEnv, Ping } from '../env.ts'
import type { Watched } from './watched.ts'

/** Period of `GET /ping` of a started agent (contract 1.3). */
const PERIOD_MS = 2_000
/** While it starts: soon, then less often. */
const STARTING_MS = { first: 50, longest: 500 }
/** Misses in a row, counted from the first good ping, that make an agent unhealthy. */
const MISSES = 3
/** Under this name a HealthyBusy agent is held open in the activity store. */
export const BUSY_HOLDER = 'operator'

/** Pings one pod, keeps its state, and holds it open while it is HealthyBusy. */
export class PingWatch {
  started: boolean
  unhealthy: string | undefined
  story = 'the agent did not listen on port 8080'
  busy = false
  readonly #env: OperatorEnv
  readonly #pod: Watched
  readonly #changed: () => void
  #address: string | undefined
  #misses = 0
  #delayMs = STARTING_MS.first
  #timer: Timer | undefined
  #stopped = false

  constructor(env: OperatorEnv, pod: Watched, changed: () => void) {
    this.#env = env
    this.#pod = pod
    this.#changed = changed
    this.started = pod.started
    this.#address = pod.address
    this.#schedule(0)
  }

  /** The address comes from the Pod's own status, once, and never changes. */
  locate(address: string | undefined): void {
    if (this.#address !== undefined || address === undefined) return
    this.#address = address
    this.#schedule(0)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#stopped || this.#address === undefined || this.unhealthy) return
    this.#timer = this.#env.clock.after(delayMs, () => void this.look().then(() => this.#schedule(this.#nextDelayMs())))
  }

  #nextDelayMs(): number {
    if (this.started) return PERIOD_MS
    this.#delayMs = Math.min(this.#delayMs * 1.5, STARTING_MS.longest)
    return this.#delayMs
  }

  /** One ping, counted. Never throws. */
  async look(): Promise<void> {
    if (this.#address === undefined) return
    try {
      const ping = await this.#env.probe.ping(this.#address, this.#pod.port)
      if (!this.#stopped) await this.#count(ping)
    } catch (error) {
      this.#env.log.warn({ pod: this.#pod.podUID, err: error }, 'a ping could not be counted; the next one will be')
    }
  }

  async #count(ping: Ping): Promise<void> {
    const story = complaintOf(ping)
    if (story === undefined) return this.#good(ping.answer === 'HealthyBusy')
    this.story = story
    if (!this.started) return
    if (ping.answer === 'timeout' && (await this.#env.activity.isHeld(this.#pod.podUID, BUSY_HOLDER))) return
    this.#misses += 1
    if (this.#misses < MISSES) return
    this.unhealthy = `${MISSES} pings in a row failed: ${this.story}`
    this.#changed()
  }

  async #good(busy: boolean): Promise<void> {
    const first = !this.started
    const settled = this.busy && !busy
    this.#misses = 0
    this.started = true
    this.busy = busy
    if (first) this.#changed()
    // Idle time counts from when it could be called: a start may take longer than the idle time is.
    if (busy || settled || first) {
      await this.#env.activity.touch(BUSY_HOLDER, { podUID: this.#pod.podUID, idleMs: this.#pod.idleMs, open: busy })
    }
  }
}

/** What is wrong, in words for people; undefined when nothing is. */
function complaintOf(ping: Ping): string | undefined {
  switch (ping.answer) {
    case 'Healthy':
    case 'HealthyBusy':
      return undefined
    case 'refused':
      return 'the agent did not listen on port 8080'
    case 'timeout':
      return 'GET /ping was not answered in time'
    case 'wrong':
      return ping.message
  }
}
