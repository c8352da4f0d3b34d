import type { AgentSession, AgentSessionStatus } from '../../crds/agent-session.ts'
import { AGENT_SESSIONS } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { withCondition } from '../../kube/conditions.ts'
import { isMeant, type EndReason } from '../../sessions/end-reason.ts'
import type { Cluster } from '../cluster.ts'
import type { OperatorEnv } from '../env.ts'
import type { Vigil } from '../reaper/vigil.ts'
import type { OperatorSettings } from '../settings.ts'
import type { UsageReadings } from '../usage/readings.ts'
import { carriedInto } from '../usage/session-usage.ts'

/** What every step of a session works with. */
export interface SessionTools {
  cluster: Cluster
  env: OperatorEnv
  settings: OperatorSettings
  vigil: Vigil
  readings: UsageReadings
}

/** Longest status.endMessage and condition message that a step writes. */
const LONGEST_MESSAGE = 1_000

/** The one status write of a reconcile: compare-and-set by resourceVersion, so a stale view changes nothing. */
export async function writeStatus(session: AgentSession, status: AgentSessionStatus, { cluster }: SessionTools): Promise<AgentSession> {
  const written = await cluster.client.replace(AGENT_SESSIONS, { ...session, status }, 'status')
  cluster.sessions.observe(written)
  return written
}

export interface Ending {
  reason: EndReason
  /** What happened, and what to do about it. */
  message: string
  /** The agent's last lines, when it failed. */
  lastLog?: string[]
}

/** A live session begins to end: from here no call is routed to it. Its pod goes next (`terminate.ts`). */
export async function beginEnding(session: AgentSession, ending: Ending, tools: SessionTools): Promise<AgentSession> {
  return writeEnd(session, { ...session.status, phase: 'Terminating' }, ending, tools)
}

/** An incarnation that never had a pod ends at once. */
export async function endUnopened(session: AgentSession, incarnation: number, ending: Ending, tools: SessionTools): Promise<AgentSession> {
  const status: AgentSessionStatus = {
    incarnation,
    phase: 'Terminated',
    endedAt: rfc3339Millis(tools.env.clock.now()),
    ...carriedInto(incarnation, session.status),
  }
  if (session.status?.conditions) status.conditions = session.status.conditions
  return writeEnd(session, status, ending, tools)
}

async function writeEnd(session: AgentSession, status: AgentSessionStatus, ending: Ending, tools: SessionTools): Promise<AgentSession> {
  const message = ending.message.slice(0, LONGEST_MESSAGE)
  const story = [message, ...(ending.lastLog ?? [])].join('\n')
  const condition = { type: 'Ready', status: 'False', reason: ending.reason, message: story } as const
  const written = await writeStatus(
    session,
    {
      ...status,
      endReason: ending.reason,
      endMessage: message,
      ...(ending.lastLog?.length ? { lastLog: ending.lastLog } : {}),
      conditions: withCondition(status.conditions, condition, tools.env.clock.now()),
    },
    tools,
  )
  const type = isMeant(ending.reason) ? 'Normal' : 'Warning'
  tools.cluster.events.record(written, { type, reason: ending.reason, note: story.slice(0, LONGEST_MESSAGE), action: 'End' })
  return written
}
