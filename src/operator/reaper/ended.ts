import { AGENT_SESSIONS, type AgentSession } from '../../crds/agent-session.ts'
import type { Env } from '../../env/env.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { isConflict } from '../../kube/errors.ts'
import type { Cluster } from '../cluster.ts'

/** A pass over a runtime's ended sessions comes so long after one has ended: many ends make one pass. */
export const PASS_AFTER_MS = 1_000
/** So long an ended session stays in any case, for the calls that wait for its end and those that reopen it at once. */
const STAYS_MS = 2_000
/** More are left to the next pass: a pass ends soon, whatever has piled up. */
const MOST_PER_PASS = 50

/**
 * Keeps a runtime's ended sessions at spec.limits.endedSessions at most: the oldest end goes first (security rule 13). One that
 * is reopened meanwhile survives, by the resourceVersion; a live one is never looked at. Beside it each goes after its TTL.
 */
export async function trimEnded(runtimeKey: string, { cluster, env }: { cluster: Cluster; env: Env }): Promise<Outcome> {
  const runtime = cluster.runtimes.byKey(runtimeKey)
  if (runtime === undefined) return DONE // they end, and go, with it
  const ended = cluster.sessions.by('ended', runtimeKey)
  const excess = ended.length - runtime.spec.limits.endedSessions
  if (excess <= 0) return DONE

  const dueBeforeMs = env.clock.now() - STAYS_MS
  const oldest = ended.map((session) => ({ session, endedAtMs: endedAtMs(session) })).toSorted((a, b) => a.endedAtMs - b.endedAtMs)
  const due = oldest.slice(0, excess).filter((candidate) => candidate.endedAtMs <= dueBeforeMs)
  for (const { session } of due.slice(0, MOST_PER_PASS)) await remove(session, cluster)
  return again(PASS_AFTER_MS)
}

function endedAtMs({ status }: AgentSession): number {
  return Date.parse(status?.endedAt ?? '') || 0
}

async function remove({ metadata }: AgentSession, { client }: Cluster): Promise<void> {
  const { namespace, name, uid, resourceVersion } = metadata
  try {
    await client.delete(AGENT_SESSIONS, namespace, name, { uid: uid!, resourceVersion: resourceVersion! })
  } catch (error) {
    if (!isConflict(error)) throw error // it is another by now; the next pass sees what
  }
}
