import { AGENT_SESSIONS, INCARNATION_LABEL, SESSION_FINALIZER, type AgentSession } from '../../crds/agent-session.ts'
import { DONE, type Outcome } from '../../kube/controller.ts'
import { addFinalizer } from '../../kube/finalizers.ts'
import { stateOf } from '../../sessions/state.ts'
import { openPod, ownedBy } from './open.ts'
import type { SessionTools } from './step.ts'
import { acknowledgeUsage, expire, finish, terminate } from './terminate.ts'
import { watchOver } from './watch-over.ts'

/**
 * Converges one session from what the API holds (design rule 4): any predecessor may have died at any instruction, and
 * its half-done step is completed here. At most one status write per call.
 */
export async function reconcileSession(key: string, tools: SessionTools): Promise<Outcome> {
  const session = tools.cluster.sessions.byKey(key)
  await deleteStrays(key, session, tools)
  if (session === undefined) return DONE
  if (session.metadata.deletionTimestamp) return finish(session, tools)
  if (!session.metadata.finalizers?.includes(SESSION_FINALIZER)) {
    tools.cluster.sessions.observe(await addFinalizer(tools.cluster.client, AGENT_SESSIONS, session, SESSION_FINALIZER))
    return DONE
  }

  const state = stateOf(session)
  switch (state.phase) {
    case 'Unopened':
      return openPod(session, state.incarnation, tools)
    case 'Pending':
    case 'Running':
      return watchOver(session, state, tools)
    case 'Terminating':
      tools.vigil.drop(state.podUID)
      return terminate(session, state.podUID, tools)
    case 'Terminated':
      await acknowledgeUsage(session, tools)
      return expire(session, state.endedAtMs, tools)
  }
}

/**
 * Design rule 2: a pod that its session does not name is deleted on sight, by UID, and was never routed to. The two caches
 * are fed by different watches: a pod whose session they do not show may belong to a newer one, so the API server is asked.
 */
async function deleteStrays(key: string, cached: AgentSession | undefined, { cluster, vigil }: SessionTools): Promise<void> {
  const pods = cluster.pods.by('session', key).filter((pod) => !pod.metadata.deletionTimestamp)
  const suspects = pods.filter((pod) => cached === undefined || !ownedBy(pod, cached) || isSuperseded(cached, pod))
  if (suspects.length === 0) return
  const session = await cluster.client.find(AGENT_SESSIONS, key.split('/')[0], key.split('/')[1]!)
  for (const pod of suspects) {
    if (session !== undefined && ownedBy(pod, session) && !isSuperseded(session, pod)) continue
    vigil.drop(pod.metadata.uid)
    await cluster.deletePod(pod)
  }
}

/** Another pod is named for its incarnation, or a later incarnation has begun. */
function isSuperseded(session: AgentSession, pod: { metadata: { uid?: string; labels?: Record<string, string> } }): boolean {
  const { status } = session
  const incarnation = Number(pod.metadata.labels?.[INCARNATION_LABEL])
  if (status?.incarnation === undefined) return false
  if (incarnation < status.incarnation) return true
  return incarnation === status.incarnation && status.podUID !== undefined && status.podUID !== pod.metadata.uid
}
