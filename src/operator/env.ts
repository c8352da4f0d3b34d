import type { Activity } from '../activity/activity.ts'
import type { Env } from '../env/env.ts'
import type { Transport } from '../kube/transport.ts'

/** Every door of the operator (design rule 9). */
export interface OperatorEnv extends Env {
  kubernetes: Transport
  activity: Activity
  probe: Probe
}

/** Asks an agent how it is: `GET /ping` (contract 1.3), once, without redirects, bounded in time and bytes. */
export interface Probe {
  ping(address: string, port: number): Promise<Ping>
}

export type Ping =
  /** 200 with a known status. A `time_of_last_update` is not read: transitions of the status are ours to see (T8). */
  | { answer: 'Healthy' | 'HealthyBusy' }
  /** Nothing listens. */
  | { answer: 'refused' }
  /** It listens and did not answer in time. */
  | { answer: 'timeout' }
  /** It answered something else; `message` says what. */
  | { answer: 'wrong'; message: string }
