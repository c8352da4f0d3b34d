import type { AgentSession } from '../../crds/agent-session.ts'
import type { SessionUse, Uses } from '../activity.ts'
import { usedBy, usedInText, type Used } from '../usage/used.ts'
import { isLive } from './fetch.ts'

/** One session as `carrel sessions` shows it. */
export interface SessionRow {
  session: AgentSession
  /** Of a live session, when a gateway has told. */
  use: SessionUse | undefined
  used: Used | undefined
}

export function rowsOf(sessions: readonly AgentSession[], uses: Uses): SessionRow[] {
  return sessions.map((session) => {
    const { namespace, name } = session.metadata
    const told = 'known' in uses && isLive(session) ? uses.known.get(`${namespace}/${name}`) : undefined
    // Another pod's: the gateway knows the session's past or future, and neither is this row.
    const use = told?.podUID === session.status?.podUID ? told : undefined
    return { session, use, used: session.status && usedBy(session.status) }
  })
}

/** Stable names, for scripts. What is not known is null. */
export function rowInJson({ session, use, used }: SessionRow): object {
  const { metadata, spec, status = {} } = session
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    sessionId: spec.sessionId,
    runtime: spec.runtimeRef.name,
    endpoint: spec.endpoint,
    owner: spec.owner,
    incarnation: spec.incarnation,
    phase: phaseOf(session),
    activity: use === undefined ? null : activityOf(use),
    idleForMs: use?.idleForMs ?? null,
    idleEndsInMs: use?.idleEndsInMs ?? null,
    version: status.version ?? null,
    pod: status.podName ?? null,
    startedAt: status.startedAt ?? null,
    expiresAt: status.expiresAt ?? null,
    endedAt: status.endedAt ?? null,
    endReason: status.endReason ?? null,
    endMessage: status.endMessage ?? null,
    usage:
      used === undefined ? null : { ...usedInText(used), updatedAt: status.usage?.updatedAt ?? null, final: status.usage?.final ?? null },
  }
}

export function activityOf({ state }: SessionUse): 'Active' | 'Idle' | 'Unknown' {
  return ({ active: 'Active', idle: 'Idle', unknown: 'Unknown' } as const)[state]
}

/** Of the incarnation that is wanted: before the operator has seen it, nothing is there yet. */
export function phaseOf({ spec, status }: AgentSession): string {
  return status?.incarnation === spec.incarnation ? (status.phase ?? 'Pending') : 'Pending'
}
