import type { Activity } from '../activity/activity.ts'
import type { Env } from '../env/env.ts'
import type { Transport } from '../kube/transport.ts'
import type { Reach, UpstreamPod } from './upstream.ts'

/** Every door of the gateway's decisions (design rule 9). Bytes of calls go beside it, through `proxy/`. */
export interface GatewayEnv extends Env {
  kubernetes: Transport
  activity: Activity
  dial: Dial
}

/** Whether a pod's port answers, and it is that pod's. */
export interface Dial {
  /** Waits `timeoutMs` for the connection. Writes nothing to the agent. Never rejects. */
  connect(pod: UpstreamPod, timeoutMs: number): Promise<Reach>
}
