import type { AgentSession, SessionUsage } from '../../crds/agent-session.ts'
import type { SessionState } from '../../sessions/state.ts'
import type { SessionTools } from '../session/step.ts'
import { WRITE_EVERY_MS } from './readings.ts'
import { laterOf, usageOf } from './session-usage.ts'

type Live = Extract<SessionState, { phase: 'Pending' | 'Running' }>

/** Reads the live session's meter from now on. Its first minute is not written, nor are two readings within a minute. */
export function keepMetered(session: AgentSession, state: Live, address: string | undefined, { readings }: SessionTools): void {
  const written = session.status?.usage
  const writtenAtMs = written?.incarnation === state.incarnation ? Date.parse(written.updatedAt) : state.startedAtMs
  readings.keep({
    podUID: state.podUID,
    sessionKey: `${session.metadata.namespace}/${session.metadata.name}`,
    address,
    writeFromMs: writtenAtMs + WRITE_EVERY_MS,
  })
}

/** The usage to write now; undefined when there is nothing new, or it is not yet time. */
export function usageDue(session: AgentSession, state: Live, { readings }: SessionTools): SessionUsage | undefined {
  const reading = readings.due(state.podUID)
  if (reading === undefined) return undefined
  const held = session.status?.usage
  const standing = laterOf(held, usageOf(reading, state.incarnation))
  return standing === held ? undefined : standing
}
