import type { AgentSession, AgentSessionStatus } from '../../crds/agent-session.ts'
import type { SessionState } from '../../sessions/state.ts'
import type { SessionTools } from '../session/step.ts'
import { conditionsWithMetered } from './metered-condition.ts'
import { WRITE_EVERY_MS, type Metered } from './readings.ts'
import { laterOf, usageOf } from './session-usage.ts'

type Live = Extract<SessionState, { phase: 'Pending' | 'Running' }>

/** Reads the live session's meter from now on. Its first minute is not written, nor are two readings within a minute. */
export function keepMetered(session: AgentSession, state: Live, address: string | undefined, { readings }: SessionTools): void {
  const written = session.status?.usage
  const writtenAtMs = written?.incarnation === state.incarnation ? Date.parse(written.updatedAt) : state.startedAtMs
  readings.keep(meteredPod(session, state.podUID, address, writtenAtMs + WRITE_EVERY_MS))
}

/** `writeFromMs`: wall time before which nothing is written. */
export function meteredPod({ metadata }: AgentSession, podUID: string, address: string | undefined, writeFromMs: number): Metered {
  return { uid: podUID, sessionUID: metadata.uid!, address, sessionKey: `${metadata.namespace}/${metadata.name}`, writeFromMs }
}

/** What is to be written of usage now; undefined when there is nothing new, or it is not yet time. */
export function usageDue(
  { status = {} }: AgentSession,
  state: Live,
  { readings, env }: SessionTools,
): Pick<AgentSessionStatus, 'usage' | 'conditions'> | undefined {
  const due = readings.due(state.podUID)
  if (due === undefined) return undefined
  const conditions = conditionsWithMetered(status.conditions, 'notVisible' in due ? due.notVisible : undefined, env.clock.now())
  if ('notVisible' in due) return conditions === status.conditions ? undefined : { conditions: conditions! }
  const standing = laterOf(status.usage, usageOf(due, state.incarnation))
  return standing === status.usage ? undefined : { usage: standing, ...(conditions ? { conditions } : {}) }
}
