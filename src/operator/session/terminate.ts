import { AGENT_SESSIONS, SESSION_FINALIZER, type AgentSession } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { removeFinalizer } from '../../kube/finalizers.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import type { Pod } from '../../kube/objects.ts'
import type { LastOfUsage } from '../usage/closing.ts'
import { finalUsage } from '../usage/final.ts'
import { isAwaited } from '../usage/last-word.ts'
import { conditionsWithMetered } from '../usage/metered-condition.ts'
import { isOrphan } from './orphan.ts'
import { beginEnding, writeStatus, type SessionTools } from './step.ts'

/** The deletion of a pod wakes its session; this is for the case that the event is lost. */
const LOOK_AGAIN_MS = 1_000

/** Terminating → Terminated, once the API server holds no pod of the session any more, or only one that nobody can end. */
export async function terminate(session: AgentSession, podUID: string | undefined, tools: SessionTools): Promise<Outcome> {
  const pods = await podsOf(session, tools)
  if (pods.going) return again(LOOK_AGAIN_MS)
  const { endReason } = session.status ?? {}
  if (pods.orphan && endReason && SAID_OF_LOST_NODES.has(endReason)) {
    await beginEnding(session, { reason: 'NodeLost', message: lossOf(pods.orphan) }, tools)
    return DONE
  }
  const final = await finalUsage(session, podUID, tools)
  if ('againAfterMs' in final) return final
  await writeTerminated(session, final, tools)
  await forget(podUID, tools)
  return DONE
}

/** The one write of an end: usage and phase together, so that what is Terminated has its bill. */
async function writeTerminated(session: AgentSession, { usage, notVisible }: LastOfUsage, tools: SessionTools): Promise<AgentSession> {
  const nowMs = tools.env.clock.now()
  const before = session.status?.conditions
  const conditions = (usage ?? notVisible) ? conditionsWithMetered(before, notVisible, nowMs) : before
  const written = await writeStatus(
    session,
    {
      ...session.status,
      phase: 'Terminated',
      endedAt: rfc3339Millis(nowMs),
      ...(usage ? { usage } : {}),
      ...(conditions ? { conditions } : {}),
    },
    tools,
  )
  await acknowledgeUsage(written, tools)
  return written
}

/** After the write; and again by a successor, should a predecessor have died in between. */
export async function acknowledgeUsage({ metadata, status }: AgentSession, { readings }: SessionTools): Promise<void> {
  if (status?.podUID === undefined) return
  const isWritten = status.usage?.final && status.usage.incarnation === status.incarnation
  if (isWritten) await readings.acknowledge(metadata.uid!, status.podUID)
  else readings.forgetPod(status.podUID)
}

/** An AgentSession that is being deleted: its pods first, then its finalizer. */
export async function finish(session: AgentSession, tools: SessionTools): Promise<Outcome> {
  if (!session.metadata.finalizers?.includes(SESSION_FINALIZER)) return DONE
  if ((await podsOf(session, tools)).going) return again(LOOK_AGAIN_MS)
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
  return 'againAfterMs' in final ? final : writeTerminated(session, final, tools)
}

/** A session that ended long ago: the record goes, unless it was reopened meanwhile (both preconditions). */
export async function expire(session: AgentSession, endedAtMs: number, { cluster, env, settings }: SessionTools): Promise<Outcome> {
  const remainingMs = endedAtMs + settings.sessionTtlSeconds * 1000 - env.clock.now()
  if (remainingMs > 0) return again(remainingMs)
  const { namespace, name, uid, resourceVersion } = session.metadata
  await cluster.client.delete(AGENT_SESSIONS, namespace, name, { uid: uid!, resourceVersion: resourceVersion! })
  return DONE
}

/** `going`: one is still there, told to go; `orphan`: one that goes only when its node comes back (design rule 2). */
async function podsOf(session: AgentSession, tools: SessionTools): Promise<{ going: boolean; orphan: Pod | undefined }> {
  const left = { going: false, orphan: undefined as Pod | undefined }
  for (const pod of await tools.cluster.podsNow(session)) {
    if (await isOrphan(pod, tools)) left.orphan = pod
    else left.going = true
    if (!isAwaited(session, pod, tools)) await tools.cluster.deletePod(pod)
  }
  return left
}

/** What a silent node looks like before the cluster has noticed that it is one. */
const SAID_OF_LOST_NODES: ReadonlySet<EndReason> = new Set(['Unhealthy', 'Evicted', 'PodLost'])

function lossOf({ metadata, spec }: Pod): string {
  return `node ${spec?.nodeName} has stopped answering, and pod ${metadata.name} with it; the next call opens a new one elsewhere`
}

async function forget(podUID: string | undefined, { env, vigil }: SessionTools): Promise<void> {
  if (podUID === undefined) return
  vigil.drop(podUID)
  await env.activity.forget([podUID])
}
