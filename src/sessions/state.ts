import type { EndReason } from './end-reason.ts'

/**
 * What an AgentSession is, as the operator sees it. The states and their order:
 *
 *     Unopened ─► Pending ─► Running ─► Terminating ─► Terminated ─┐
 *        ▲           └───────────────────────▲                     │ the gateway raises spec.incarnation
 *        └─────────────────────────────────────────────────────────┘
 *
 * Derived from spec and status alone, so every process that may die at any instruction finds the same state again.
 */
export type SessionState =
  /** The incarnation asked for has no status yet: its pod is to be made, or found. */
  | { phase: 'Unopened'; incarnation: number }
  | (Opened & { phase: 'Pending' })
  | (Opened & { phase: 'Running' })
  /** Its pod is to go; `podUID` is absent when none was ever named. */
  | { phase: 'Terminating'; incarnation: number; podUID: string | undefined; reason: EndReason }
  | { phase: 'Terminated'; incarnation: number; reason: EndReason; endedAtMs: number }

interface Opened {
  incarnation: number
  podName: string
  podUID: string
  startedAtMs: number
  expiresAtMs: number
  /** When an agent that has not answered a ping has failed to start. */
  startDeadlineMs: number
}

/** The fields that the state is derived from; AgentSession of `src/crds` is one. */
export interface SessionRecord {
  spec: { incarnation: number; stopThrough?: number }
  status?: {
    incarnation?: number
    phase?: 'Pending' | 'Running' | 'Terminating' | 'Terminated'
    podName?: string
    podUID?: string
    startedAt?: string
    expiresAt?: string
    startTimeoutSeconds?: number
    endReason?: EndReason
    endedAt?: string
  }
}

export function stateOf(session: SessionRecord): SessionState {
  const { spec, status } = session
  if (status?.phase === undefined || status.incarnation === undefined) return { phase: 'Unopened', incarnation: spec.incarnation }
  const incarnation = status.incarnation
  switch (status.phase) {
    case 'Pending':
    case 'Running': {
      if (!status.podUID || !status.podName || !status.startedAt || !status.expiresAt) return { phase: 'Unopened', incarnation }
      const startedAtMs = Date.parse(status.startedAt)
      return {
        phase: status.phase,
        incarnation,
        podName: status.podName,
        podUID: status.podUID,
        startedAtMs,
        expiresAtMs: Date.parse(status.expiresAt),
        startDeadlineMs: startedAtMs + (status.startTimeoutSeconds ?? 45) * 1000,
      }
    }
    case 'Terminating':
      return { phase: 'Terminating', incarnation, podUID: status.podUID, reason: status.endReason ?? 'Stopped' }
    case 'Terminated':
      if (spec.incarnation > incarnation) return { phase: 'Unopened', incarnation: spec.incarnation }
      return { phase: 'Terminated', incarnation, reason: status.endReason ?? 'Stopped', endedAtMs: Date.parse(status.endedAt ?? '') || 0 }
  }
}

/** The one incarnation that a call may use now, or undefined when it must wait or reopen. */
export function isStopped(session: SessionRecord, incarnation: number): boolean {
  return (session.spec.stopThrough ?? 0) >= incarnation
}

/** Whether the session is over and a call may raise the incarnation (design 2). */
export function mayReopen(session: SessionRecord): boolean {
  return session.status?.phase === 'Terminated' && session.status.incarnation === session.spec.incarnation
}

/** Why a live session must end now, by the clock alone; undefined while it need not. */
export function deadlineReached(state: SessionState, nowMs: number): EndReason | undefined {
  if (state.phase === 'Pending' && nowMs >= state.startDeadlineMs && state.startDeadlineMs < state.expiresAtMs) return 'StartFailed'
  if ((state.phase === 'Pending' || state.phase === 'Running') && nowMs >= state.expiresAtMs) return 'MaxLifetime'
  return undefined
}

/** When the clock alone will next change a live session; undefined for others. */
export function nextDeadlineMs(state: SessionState): number | undefined {
  if (state.phase === 'Pending') return Math.min(state.startDeadlineMs, state.expiresAtMs)
  if (state.phase === 'Running') return state.expiresAtMs
  return undefined
}
