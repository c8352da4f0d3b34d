import { AGENT_RUNTIMES, type AgentRuntime, type AgentRuntimeStatus } from '../../crds/agent-runtime.ts'
import { withCondition } from '../../kube/conditions.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { isAlreadyExists } from '../../kube/errors.ts'
import type { Condition, ControllerRevision } from '../../kube/objects.ts'
import { agentRuntimeArn, agentRuntimeId } from '../../sessions/runtime-id.ts'
import { revisionsOfRuntimes, type Cluster } from '../cluster.ts'
import type { OperatorEnv } from '../env.ts'
import type { OperatorSettings } from '../settings.ts'
import { SPEC_HASH_ANNOTATION, hashOf, revisionFor, versionedPart, type VersionedSpec } from './version.ts'

/** How soon to look again at a revision whose creation the cache does not show yet. */
const CACHE_LAG_MS = 50

/** Gives a runtime its id, mints a version when its spec changed, and says whether it can be invoked. */
export async function reconcileRuntime(key: string, cluster: Cluster, env: OperatorEnv, settings: OperatorSettings): Promise<Outcome> {
  const runtime = cluster.runtimes.byKey(key)
  if (runtime === undefined || runtime.metadata.deletionTimestamp) return DONE

  const refusal = refusalOf(runtime, settings)
  const version = refusal ? latest(runtime, cluster)?.revision : await mintVersion(runtime, cluster)
  if (!refusal && version === undefined) return again(CACHE_LAG_MS)

  const status = statusOf(runtime, version, refusal, env.clock.now(), settings)
  if (JSON.stringify(status) === JSON.stringify(runtime.status)) return DONE
  cluster.runtimes.observe(await cluster.client.replace(AGENT_RUNTIMES, { ...runtime, status }, 'status'))
  if (refusal) cluster.events.record(runtime, { type: 'Warning', reason: refusal.reason, note: refusal.message, action: 'Accept' })
  return DONE
}

interface Refusal {
  reason: string
  message: string
}

/** Design 2: a runtime whose artifact this installation cannot run is not Accepted, and says what to do. */
export function refusalOf(runtime: AgentRuntime, settings: OperatorSettings): Refusal | undefined {
  const { artifact } = runtime.spec
  if (settings.artifacts === 'code' && artifact.code === undefined)
    return {
      reason: 'ArtifactNotSupported',
      message: 'this installation runs code directories as processes: add spec.artifact.code with a directory and a command',
    }
  if (settings.artifacts === 'container' && artifact.container === undefined)
    return { reason: 'ArtifactNotSupported', message: 'this installation runs container images: add spec.artifact.container with an image' }
  return undefined
}

function latest(runtime: AgentRuntime, cluster: Cluster): ControllerRevision<VersionedSpec> | undefined {
  return cluster.revisions.by('owner', runtime.metadata.uid!).toSorted((a, b) => b.revision - a.revision)[0]
}

/** The number of the version that the spec is now; undefined while the cache is behind. */
async function mintVersion(runtime: AgentRuntime, cluster: Cluster): Promise<number | undefined> {
  const newest = latest(runtime, cluster)
  if (newest?.metadata.annotations?.[SPEC_HASH_ANNOTATION] === hashOf(versionedPart(runtime.spec))) return newest.revision
  const next = Math.max(newest?.revision ?? 0, runtime.status?.latestVersion ?? 0) + 1
  try {
    const created = await cluster.client.create(revisionsOfRuntimes, revisionFor(runtime, next))
    cluster.revisions.observe(created)
    cluster.events.record(runtime, { type: 'Normal', reason: 'VersionCreated', note: `version ${next}`, action: 'CreateVersion' })
    return next
  } catch (error) {
    if (isAlreadyExists(error)) return undefined
    throw error
  }
}

function statusOf(
  runtime: AgentRuntime,
  version: number | undefined,
  refusal: Refusal | undefined,
  nowMs: number,
  settings: OperatorSettings,
): AgentRuntimeStatus {
  const agentRuntimeIdValue = agentRuntimeId(runtime)
  const observedGeneration = runtime.metadata.generation ?? 0
  const ok = { status: 'True', reason: 'Accepted', message: '', observedGeneration } as const
  const outcome = refusal ? ({ status: 'False', ...refusal, observedGeneration } as const) : ok
  let conditions: Condition[] = withCondition(runtime.status?.conditions, { type: 'Accepted', ...outcome }, nowMs)
  conditions = withCondition(conditions, { type: 'Ready', ...outcome, ...(refusal ? {} : { reason: 'Ready' }) }, nowMs)
  return {
    observedGeneration,
    agentRuntimeId: agentRuntimeIdValue,
    agentRuntimeArn: agentRuntimeArn(agentRuntimeIdValue, settings),
    ...(version === undefined ? {} : { latestVersion: version, endpoints: [{ name: 'DEFAULT', version }] }),
    conditions,
  }
}
