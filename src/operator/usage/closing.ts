/** How the usage of an incarnation is closed without its meter's final word: what stands, what is missing, and who is told. */
import type { AgentSession, SessionUsage } from '../../crds/agent-session.ts'
import { isStartFailure } from '../../sessions/end-reason.ts'
import type { SessionTools } from '../session/step.ts'
import { laterOf, unmeasured, unmeasuredSince, usageOf } from './session-usage.ts'

export interface LastOfUsage {
  /** Undefined: there is nothing to say. */
  usage: SessionUsage | undefined
  /** Why there are no figures: the pod's meter could not see it. */
  notVisible?: string
}

/** By this process' own last reading, or the one in the status; closed. */
export function lastKnown(
  session: AgentSession,
  podUID: string,
  incarnation: number,
  { env, readings }: SessionTools,
): SessionUsage | undefined {
  const reading = readings.last(podUID)
  const held = session.status?.usage?.incarnation === incarnation ? session.status.usage : undefined
  const last = reading ? laterOf(held, usageOf(reading, incarnation)) : held
  return last && unmeasuredSince(last, env.clock.now())
}

export function lost(session: AgentSession, incarnation: number, why: string, tools: SessionTools): LastOfUsage {
  const nowMs = tools.env.clock.now()
  return told(session, unmeasured(incarnation, Date.parse(session.status?.startedAt ?? '') || nowMs, nowMs), why, tools)
}

export function told(session: AgentSession, usage: SessionUsage, why: string, { cluster }: SessionTools): LastOfUsage {
  cluster.events.record(session, {
    type: 'Warning',
    reason: 'UsageMissed',
    note: `${why}: the usage of incarnation ${usage.incarnation} is short by at most ${usage.missedSeconds} s`,
    action: 'Meter',
  })
  return { usage }
}

/** Of a pod that never ran there is nothing to know. */
export function neverRan({ status }: AgentSession): boolean {
  return status?.endReason !== undefined && isStartFailure(status.endReason)
}
