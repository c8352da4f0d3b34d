import type { Activity } from '../activity/activity.ts'
import type { CustomJWT } from '../crds/authorizer.ts'
import type { Env } from '../env/env.ts'
import type { Transport } from '../kube/transport.ts'
import type { UsageReport } from '../metering/report.ts'

/** Every door of the operator (design rule 9). */
export interface OperatorEnv extends Env {
  kubernetes: Transport
  activity: Activity
  probe: Probe
  providers: Providers
  meters: Meters
}

/** A pod as its meter is asked for it. */
export interface MeteredPod {
  uid: string
  /** Of its session, whose key the meter beside an agent holds. */
  sessionUID: string
  /** Absent until it is known, and when the pod is gone. */
  address: string | undefined
}

export type MeterAnswer =
  | UsageReport
  /** The meter knows of no such pod. */
  | 'unknown'
  /** There is no meter to ask. */
  | 'unmetered'
  /** The meter cannot see the pod, and says why: there is no figure. */
  | { notVisible: string }

/** Asks the meters of pods what they used. */
export interface Meters {
  /** Rejects when the meter does not answer. */
  read(pod: MeteredPod): Promise<MeterAnswer>
  /** The final report was written down: the meter may forget it. Idempotent; a meter that has none is fine. */
  acknowledge(podUID: string): Promise<void>
}

/** Asks an identity provider whether tokens of it can be verified: its discovery document and its keys, guarded (security rule 9). */
export interface Providers {
  check(customJWT: CustomJWT): Promise<ProviderVerdict>
}

/** `code`: coarse, in CamelCase; it becomes the reason of a condition. */
export type ProviderVerdict = { ok: true } | { ok: false; code: string }

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
