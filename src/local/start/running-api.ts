import type { Activity } from '../../activity/activity.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Transport } from '../../kube/transport.ts'
import type { IDENTITIES } from '../api/identities.ts'
import type { MeterAccess } from './meter.ts'

export type IdentityName = keyof typeof IDENTITIES

/** A Kubernetes API with the process kubelet on it: the embedded one, or another that this installation joined. */
export interface RunningApi {
  url: string
  /** Path of the administrator's kubeconfig. */
  kubeconfig: string
  /** People who keep an audit log look there; undefined where the server keeps its own. */
  audit: string | undefined
  admin: KubeClient
  transportOf(identity: IdentityName): Transport
  /** Path of a kubeconfig for a process of that identity. */
  kubeconfigOf(identity: IdentityName): string
  /** The activity store that serves without Redis. */
  activityFor(identity: 'operator' | 'gateway'): Activity
  /** How an operator reads what sessions use. */
  meter: MeterAccess
  /** Ends every agent, then what else it started; within 5 s. */
  stop(): Promise<void>
}
