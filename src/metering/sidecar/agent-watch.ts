/**
 * How the agent is, and since when: kept by what answers beside it, so that an operator that comes back after a while can ask.
 * The transition is seen here; what an agent says of it is not read (contract 1.3).
 */
import { rfc3339Millis, sleep, type Clock } from '../../env/clock.ts'

/** Period of `GET /ping` (contract 1.3). */
const PERIOD_MS = 2_000

export type AgentAnswer =
  | { status: 'Healthy' | 'HealthyBusy' }
  /** `Unreachable`: nothing listens, or nothing came in time. `Wrong`: it answered something else. `message` says what. */
  | { status: 'Unreachable' | 'Wrong'; message: string }

/** What `GET /agent` answers. */
export interface AgentState {
  /** `Unknown` before the first ping was answered or failed. */
  status: AgentAnswer['status'] | 'Unknown'
  /** RFC 3339, wall time at which this status was first seen. */
  since: string
  message?: string
}

export class AgentWatch {
  readonly #clock: Clock
  readonly #ping: () => Promise<AgentAnswer>
  #state: AgentState

  /** `ping` never rejects. */
  constructor(clock: Clock, ping: () => Promise<AgentAnswer>) {
    this.#clock = clock
    this.#ping = ping
    this.#state = { status: 'Unknown', since: rfc3339Millis(clock.now()) }
  }

  get state(): AgentState {
    return this.#state
  }

  /** Asks at once and then every 2 s, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAtMs = this.#clock.monotonic()
      this.#see(await this.#ping())
      await sleep(this.#clock, Math.max(0, startedAtMs + PERIOD_MS - this.#clock.monotonic()), signal)
    }
  }

  #see(answer: AgentAnswer): void {
    const isSame = answer.status === this.#state.status
    this.#state = { ...answer, since: isSame ? this.#state.since : rfc3339Millis(this.#clock.now()) }
  }
}
