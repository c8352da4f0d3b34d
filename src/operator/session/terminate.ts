import { AGENT_SESSIONS, SESSION_FINALIZER, type AgentSession } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { removeFinalizer } from '../../kube/finalizers.ts'
import { writeStatus, type SessionTools } from './step.ts'

/** The deletion of a pod wakes its session; this is for the case that the event is lost. */
const LOOK_AGAIN_MS = 1_000

/** Terminating → Terminated, once the API server holds no pod of the session any more. */
export async function terminate(session: AgentSession, podUID: string | undefined, tools: SessionTools): Promise<Outcome> {
  if (!(await podsGone(session, tools))) return again(LOOK_AGAIN_MS)
  await writeStatus(session, { ...session.status, phase: 'Terminated', endedAt: rfc3339Millis(tools.env.clock.now()) }, tools)
  await forget(podUID, tools)
  return DONE
}

/** An AgentSession that is being deleted: its pods first, then its finalizer. */
export async function finish(session: AgentSession, tools: SessionTools): Promise<Outcome> {
  if (!session.metadata.finalizers?.includes(SESSION_FINALIZER)) return DONE
  if (!(await podsGone(session, tools))) return again(LOOK_AGAIN_MS)
  await forget(session.status?.podUID, tools)
  await removeFinalizer(tools.cluster.client, AGENT_SESSIONS, session, SESSION_FINALIZER)
  return DONE
}

/** A session that ended long ago: the record goes, unless it was reopened meanwhile (both preconditions). */
export async function expire(session: AgentSession, endedAtMs: number, { cluster, env, settings }: SessionTools): Promise<Outcome> {
  const remainingMs = endedAtMs + settings.sessionTtlSeconds * 1000 - env.clock.now()
  if (remainingMs > 0) return again(remainingMs)
  const { namespace, name, uid, resourceVersion } = session.metadata
  await cluster.client.delete(AGENT_SESSIONS, namespace, name, { uid: uid!, resourceVersion: resourceVersion! })
  return DONE
}

async function podsGone(session: AgentSession, { cluster }: SessionTools): Promise<boolean> {
  const pods = await cluster.podsNow(session)
  for (const pod of pods) await cluster.deletePod(pod)
  return pods.length === 0
}

async function forget(podUID: string | undefined, { env, vigil }: SessionTools): Promise<void> {
  if (podUID === undefined) return
  vigil.drop(podUID)
  await env.activity.forget([podUID])
}
