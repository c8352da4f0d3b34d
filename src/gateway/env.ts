import type { Activity } from '../activity/activity.ts'
import type { Env } from '../env/env.ts'
import type { Transport } from '../kube/transport.ts'

/** Every door of the gateway's decisions (design rule 9). Bytes of calls go beside it, through `proxy/`. */
export interface GatewayEnv extends Env {
  kubernetes: Transport
  activity: Activity
  dial: Dial
}

/** Whether a pod's port answers. */
export interface Dial {
  /** 'refused': nothing listens, the host is away, or `timeoutMs` passed. Never rejects. */
  connect(address: string, port: number, timeoutMs: number): Promise<'connected' | 'refused'>
}
