import { AGENT_PORT, INCARNATION_LABEL, SESSION_UID_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import { isStopped, mayReopen, stateOf } from '../../sessions/state.ts'

/** Where calls of a session may go: only what the API server, the operator and kubelet agree on. */
export interface Route {
  podUID: string
  sessionUID: string
  address: string
  port: number
  incarnation: number
  /** Its agent has answered a ping. */
  hasRun: boolean
  idleMs: number
}

/** How an incarnation ended, for the call that waited for it. */
export interface End {
  reason: EndReason
  message: string
  lastLog: string[]
}

/** What a call that looks for its session finds. */
export type Situation =
  | { kind: 'absent' }
  /** Over; the next incarnation may be opened. */
  | ({ kind: 'ended'; incarnation: number } & End)
  /** Opening, or ending: something will change by itself. `opening` is false while it ends, and `end` says why, once it is known. */
  | { kind: 'waiting'; incarnation: number; opening: boolean; hasRun?: boolean; end?: End }
  | { kind: 'routable'; route: Route }

export function situationOf(session: AgentSession | undefined, podNamed: (name: string) => Pod | undefined): Situation {
  if (session === undefined) return { kind: 'absent' }
  const { incarnation } = session.spec
  if (session.metadata.deletionTimestamp) return { kind: 'waiting', incarnation, opening: false }
  if (mayReopen(session)) return { kind: 'ended', incarnation, ...endIn(session) }
  const state = stateOf(session)
  if (state.phase === 'Terminating' && state.incarnation === incarnation)
    return { kind: 'waiting', incarnation, opening: false, end: endIn(session) }
  const opening = state.phase !== 'Terminating' && !isStopped(session, incarnation)
  if (!opening || state.phase === 'Unopened' || state.phase === 'Terminated') return { kind: 'waiting', incarnation, opening }
  const route = agreedRoute(session, podNamed(state.podName))
  return route ? { kind: 'routable', route } : { kind: 'waiting', incarnation, opening, hasRun: state.phase === 'Running' }
}

function endIn({ status }: AgentSession): End {
  return { reason: status?.endReason ?? 'Stopped', message: status?.endMessage ?? '', lastLog: status?.lastLog ?? [] }
}

/**
 * Design rule 1: a pod is routable only if the session's status names its UID and its own labels name that session's UID
 * and incarnation. The address is the one that kubelet wrote into the Pod's status.
 */
export function agreedRoute(session: AgentSession, pod: Pod | undefined): Route | undefined {
  const { status, metadata, spec } = session
  if (pod === undefined || status?.podUID === undefined || pod.metadata.uid !== status.podUID) return undefined
  if (pod.metadata.labels?.[SESSION_UID_LABEL] !== metadata.uid) return undefined
  if (pod.metadata.labels?.[INCARNATION_LABEL] !== String(status.incarnation) || status.incarnation !== spec.incarnation) return undefined
  if (pod.metadata.deletionTimestamp || !pod.status?.podIP) return undefined
  return {
    podUID: pod.metadata.uid,
    sessionUID: metadata.uid!,
    address: pod.status.podIP,
    port: AGENT_PORT,
    incarnation: status.incarnation,
    hasRun: status.phase === 'Running',
    idleMs: (status.idleTimeoutSeconds ?? 900) * 1000,
  }
}

/** Why calls that are open on a pod are over; undefined while its session still names it as live. */
export function endOf(session: AgentSession | undefined, podUID: string): EndReason | undefined {
  if (session === undefined) return 'RuntimeDeleted'
  const live = session.status?.phase === 'Pending' || session.status?.phase === 'Running'
  if (live && session.status?.podUID === podUID) return undefined
  return session.status?.podUID === podUID ? (session.status.endReason ?? 'Stopped') : 'PodLost'
}
