import type { AgentSession } from '../../crds/agent-session.ts'
import { INCARNATION_LABEL, SESSION_UID_LABEL } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { withCondition } from '../../kube/conditions.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { ApiError, isAlreadyExists } from '../../kube/errors.ts'
import type { Pod } from '../../kube/objects.ts'
import { PODS } from '../../kube/resource.ts'
import { isStopped } from '../../sessions/state.ts'
import { provideMeterKey } from '../pod/meter-secret.ts'
import { currentVersion } from './current-version.ts'
import { carriedInto } from '../usage/session-usage.ts'
import { refusalOfCreate } from './create-refusal.ts'
import { isOrphan } from './orphan.ts'
import { podFor } from './pod-for.ts'
import { endUnopened, writeStatus, type Ending, type SessionTools } from './step.ts'

/** A pod that is in the way is going; its deletion wakes the session, this is for the case that the event is lost. */
const LOOK_AGAIN_MS = 500

/**
 * Opens the pod of the session's current incarnation and names it in the status. Idempotent: the pod's name is the lock,
 * and a pod found under it (made by a predecessor that died before it wrote the status) is completed, not repeated.
 */
export async function openPod(session: AgentSession, incarnation: number, tools: SessionTools): Promise<Outcome> {
  const { cluster, env, settings } = tools
  const runtime = cluster.runtimeOf(session)
  if (runtime === undefined)
    return ended(
      endUnopened(
        session,
        incarnation,
        { reason: 'RuntimeDeleted', message: `AgentRuntime ${session.spec.runtimeRef.name} is gone` },
        tools,
      ),
    )
  if (isStopped(session, incarnation))
    return ended(endUnopened(session, incarnation, { reason: 'Stopped', message: 'stopped before it had started' }, tools))
  const version = await currentVersion(session, runtime, tools)
  if (version === 'later') return DONE
  if ('refused' in version) return ended(endUnopened(session, incarnation, { reason: 'StartFailed', message: version.refused }, tools))
  const { revision } = version
  if (incarnation > 1 && (await leftoverOf(session, incarnation, tools))) return again(LOOK_AGAIN_MS)

  const made = await claimName(session, podFor(session, incarnation, revision, settings), tools)
  if (made === 'in the way') return again(LOOK_AGAIN_MS)
  if ('refused' in made) return ended(endUnopened(session, incarnation, made.refused, tools))

  const { lifecycle, startTimeoutSeconds } = revision.data
  const startedAtMs = made.found ? Date.parse(made.pod.metadata.creationTimestamp!) : env.clock.now()
  await env.activity.register(made.pod.metadata.uid!, lifecycle.idleTimeoutSeconds * 1000)
  await writeStatus(
    session,
    {
      incarnation,
      phase: 'Pending',
      version: revision.revision,
      podName: made.pod.metadata.name,
      podUID: made.pod.metadata.uid!,
      startedAt: rfc3339Millis(startedAtMs),
      expiresAt: rfc3339Millis(startedAtMs + lifecycle.maxLifetimeSeconds * 1000),
      idleTimeoutSeconds: lifecycle.idleTimeoutSeconds,
      startTimeoutSeconds,
      ...carriedInto(incarnation, session.status),
      conditions: withCondition(
        session.status?.conditions,
        { type: 'Ready', status: 'False', reason: 'Starting', message: `pod ${made.pod.metadata.name} is starting` },
        env.clock.now(),
      ),
    },
    tools,
  )
  return DONE
}

async function ended(write: Promise<unknown>): Promise<Outcome> {
  await write
  return DONE
}

/** Design rule 2: before incarnation n opens, every older pod is gone by what the API server holds, or its node is silent. */
async function leftoverOf(session: AgentSession, incarnation: number, tools: SessionTools): Promise<Pod | undefined> {
  let leftover: Pod | undefined
  for (const pod of await tools.cluster.podsNow(session)) {
    if (Number(pod.metadata.labels?.[INCARNATION_LABEL]) === incarnation || (await isOrphan(pod, tools))) continue
    await tools.cluster.deletePod(pod)
    leftover = pod
  }
  return leftover
}

type Claim = { pod: Pod; found: boolean } | { refused: Ending } | 'in the way'

async function claimName(session: AgentSession, pod: Pod, tools: SessionTools): Promise<Claim> {
  const { cluster, settings } = tools
  try {
    await provideMeterKey(session, cluster.client, settings)
    return { pod: await cluster.client.create(PODS, pod), found: false }
  } catch (error) {
    if (isAlreadyExists(error)) return adopt(session, pod, tools)
    const refused = error instanceof ApiError && refusalOfCreate(error, pod.metadata.namespace!)
    if (refused) return { refused }
    throw error
  }
}

/** AlreadyExists means GET and verify (design rule 3): the pod of a namesake is deleted, our own is completed. */
async function adopt(session: AgentSession, wanted: Pod, { cluster }: SessionTools): Promise<Claim> {
  const existing = await cluster.client.find(PODS, wanted.metadata.namespace!, wanted.metadata.name)
  if (existing === undefined) return 'in the way'
  const ours = [SESSION_UID_LABEL, INCARNATION_LABEL].every(
    (label) => existing.metadata.labels?.[label] === wanted.metadata.labels?.[label],
  )
  if (ours && ownedBy(existing, session)) return { pod: existing, found: true }
  await cluster.deletePod(existing)
  return 'in the way'
}

export function ownedBy(pod: Pod, session: AgentSession): boolean {
  return pod.metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === session.metadata.uid) ?? false
}
