import type { Activity } from '../activity/activity.ts'
import type { AgentSession } from '../crds/agent-session.ts'

/** One live session: `idle` since `idleForMs`, ending by itself in `idleEndsInMs` when nobody calls. */
export type SessionActivity = { namespace: string; session: string; podUID: string } & (
  | { state: 'active' | 'unknown' }
  | { state: 'idle'; idleForMs: number; idleEndsInMs: number }
)

/**
 * Which sessions that have a pod are in use now, by namespace and name: Active and Idle are never written to an object
 * (design 2). `namespace` undefined: of all. Rejects with ActivityUnavailableError when the store does not answer.
 */
export async function activityAnswer(
  asked: { namespace: string | undefined },
  parts: { sessions: { list(): readonly AgentSession[] }; activity: Pick<Activity, 'look'> },
): Promise<SessionActivity[]> {
  const live = parts.sessions.list().flatMap((session) => liveOf(session, asked.namespace))
  const looks = await parts.activity.look(live.map(({ podUID }) => podUID))
  return live.map((one, index) => {
    const seen = looks[index]!
    if (seen.state !== 'idle') return { ...one, state: seen.state }
    return { ...one, state: 'idle', idleForMs: Math.round(seen.idleForMs), idleEndsInMs: Math.round(seen.remainingMs) }
  })
}

function liveOf(
  { metadata, status }: AgentSession,
  namespace: string | undefined,
): { namespace: string; session: string; podUID: string }[] {
  if (namespace !== undefined && metadata.namespace !== namespace) return []
  if (status?.podUID === undefined || status.phase === 'Terminated') return []
  return [{ namespace: metadata.namespace!, session: metadata.name, podUID: status.podUID }]
}
