import type { AgentRuntime } from '../crds/agent-runtime.ts'
import type { Authorizer } from '../crds/authorizer.ts'
import type { EndReason } from '../sessions/end-reason.ts'
import type { Owner } from '../sessions/key.ts'
import type { Unproven, UpstreamPod } from './upstream.ts'

/** Who calls, once authentication is complete. */
export interface Caller {
  /** The true one. Whose the session is, `sessionOwnership` decides. */
  owner: Owner
  /** Whether answers may show lines of the agent's log (security rule 18). Asked only of a call that failed. */
  mayReadLogs(): Promise<boolean>
}

/** What is called. */
export interface RuntimeTarget {
  runtime: AgentRuntime
  runtimeId: string
  endpoint: string
  policy: Policy
}

/** What the endpoint's version says of its calls: DEFAULT's is the runtime's spec, a named endpoint's the version that it is pinned to. */
export interface Policy {
  authorizer?: Authorizer
  /** spec.requestHeaders.allow. */
  allowedHeaders: readonly string[]
  startTimeoutSeconds: number
}

/** The gateway's decisions about sessions, as the part that moves bytes sees them. */
export interface Sessions {
  /** By the id in the ARN, which is recomputed from metadata.uid and never read from a status (security rule 3). */
  findRuntime(reference: { runtimeId: string }, endpoint: string): RuntimeTarget | undefined | 'NoSuchEndpoint'
  /** Namespaces that have a runtime, in any order. */
  namespaces(): Iterable<string>
  /** Whether the session has a pod that calls go to now: who was let in before may go on while nobody can be asked. */
  isLive(target: RuntimeTarget, caller: Caller, sessionId: string): boolean
  /** Finds or opens the session, waits until its pod answers, and holds it open until `release`. */
  enter(target: RuntimeTarget, caller: Caller, sessionId: string, signal: AbortSignal): Promise<Entered>
  /** Ends the session's incarnation; 'unknown' when there is none, or it has ended. */
  stop(target: RuntimeTarget, caller: Caller, sessionId: string, clientToken: string | undefined): Promise<'stopped' | 'unknown'>
  /** Resolves when calls can be served: its view is complete, and others know of this gateway. */
  readonly ready: Promise<void>
}

export type Entered =
  | {
      outcome: 'entered'
      pod: UpstreamPod
      /** Idempotent. `refused`: the pod refused the connection, or did not prove itself, so it is dialled again before the next call. */
      release(refused?: boolean): void
      /** Settles if the session ends while the call is open. */
      ended: Promise<{ reason: EndReason }>
    }
  /** The agent did not start. */
  | { outcome: 'failed'; reason: EndReason; message: string; lastLog: string[] }
  /** Still being provisioned or torn down when the call's patience ended. */
  | { outcome: 'busy'; retryAfterMs: number }
  /** The pod's port answered to the end of the call's patience, and the pod was not proven to be the session's: nothing was sent. */
  | { outcome: 'unproven'; why: Unproven; retryAfterMs: number }
  /** The API server, or the activity store, is out of reach. */
  | { outcome: 'unavailable'; retryAfterMs: number }
