import { AGENT_SESSIONS, SESSION_FINALIZER, type AgentSession, type SessionUsage } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { removeFinalizer } from '../../kube/finalizers.ts'
import { finalUsage } from '../usage/final.ts'
import { writeStatus, type SessionTools } from './step.ts'

/** The deletion of a pod wakes its session; this is for the case that the event is lost. */
const LOOK_AGAIN_MS = 1_000

/** Terminating → Terminated, once the API server holds no pod of the session any more. */
export async function terminate(session: AgentSession, podUID: string | undefined, tools: SessionTools): Promise<Outcome> {
  if (!(await podsGone(session, tools))) return again(LOOK_AGAIN_MS)
  const final = await finalUsage(session, podUID, tools)
  if ('againAfterMs' in final) return final
  await writeTerminated(session, final.usage, tools)
  await forget(podUID, tools)
  return DONE
}

/** The one write of an end: usage and phase together, so that what is Terminated has its bill. */
async function writeTerminated(session: AgentSession, usage: SessionUsage | undefined, tools: SessionTools): Promise<AgentSession> {
  const endedAt = rfc3339Millis(tools.env.clock.now())
  const written = await writeStatus(session, { ...session.status, phase: 'Terminated', endedAt, ...(usage ? { usage } : {}) }, tools)
  await acknowledgeUsage(written, tools)
  return written
}

/** After the write; and again by a successor, should a predecessor have died in between. */
export async function acknowledgeUsage({ metadata, status }: AgentSession, { readings }: SessionTools): Promise<void> {
  if (status?.podUID === undefined) return
  if (status.usage?.final && status.usage.incarnation === status.incarnation) await readings.acknowledge(metadata.uid!, status.podUID)
}

/** An AgentSession that is being deleted: its pods first, then its finalizer. */
export async function finish(session: AgentSession, tools: SessionTools): Promise<Outcome> {
  if (!session.metadata.finalizers?.includes(SESSION_FINALIZER)) return DONE
  if (!(await podsGone(session, tools))) return again(LOOK_AGAIN_MS)
  const closed = await closeDeleted(session, tools)
  if ('againAfterMs' in closed) return closed
  const podUID = session.status?.podUID
  await forget(podUID, tools)
  tools.readings.forget(session.metadata.uid!, podUID)
  await removeFinalizer(tools.cluster.client, AGENT_SESSIONS, closed, SESSION_FINALIZER)
  return DONE
}

/** The last state of a session that is deleted while it lives holds what it used, for those who watch. */
async function closeDeleted(session: AgentSession, tools: SessionTools): Promise<AgentSession | { againAfterMs: number }> {
  const { status } = session
  if (status?.podUID === undefined || status.phase === 'Terminated') {
    await acknowledgeUsage(session, tools)
    return session
  }
  const final = await finalUsage(session, status.podUID, tools)
  return 'againAfterMs' in final ? final : writeTerminated(session, final.usage, tools)
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
