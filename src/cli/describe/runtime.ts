import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import { RUNTIME_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import { KubeClient } from '../../kube/client.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { CONTROLLER_REVISIONS } from '../../kube/resource.ts'
import { usesOf, type Uses } from '../activity.ts'
import type { CliEnv, Cluster } from '../env.ts'
import { fetchSessions } from '../sessions/fetch.ts'
import { rowInJson, rowsOf } from '../sessions/row.ts'
import { eventsOf, type Events } from './events.ts'

export interface RuntimeStory {
  runtime: AgentRuntime
  /** Latest first; undefined for those who may not list them. */
  versions: readonly ControllerRevision[] | undefined
  sessions: readonly AgentSession[]
  uses: Uses
  events: Events
}

export async function runtimeStory(
  env: CliEnv,
  cluster: Cluster,
  runtime: AgentRuntime,
  gateway: string | undefined,
): Promise<RuntimeStory> {
  const { name, namespace: ns, uid } = runtime.metadata
  const namespace = ns!
  const [versions, sessions, uses, events] = await Promise.all([
    versionsOf(cluster, namespace, name, uid),
    fetchSessions(cluster.kubernetes, { namespace, runtime: name }),
    usesOf(env, cluster, { gateway, namespace }),
    eventsOf(cluster.kubernetes, namespace, [uid]),
  ])
  return { runtime, versions, sessions, uses, events }
}

async function versionsOf(
  { kubernetes }: Cluster,
  namespace: string,
  name: string,
  uid: string | undefined,
): Promise<ControllerRevision[] | undefined> {
  try {
    const { items } = await new KubeClient(kubernetes).list(CONTROLLER_REVISIONS, { namespace, labelSelector: `${RUNTIME_LABEL}=${name}` })
    const own = items.filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
    return own.toSorted((a, b) => b.revision - a.revision)
  } catch {
    return undefined
  }
}

/** Stable names, for scripts. What is not known is null. */
export function runtimeInJson({ runtime, versions, sessions, uses, events }: RuntimeStory): object {
  const { metadata, spec, status } = runtime
  return {
    kind: 'AgentRuntime',
    namespace: metadata.namespace,
    name: metadata.name,
    arn: status?.agentRuntimeArn ?? null,
    latestVersion: status?.latestVersion ?? null,
    endpoints: status?.endpoints ?? [],
    artifact: spec.artifact,
    conditions: status?.conditions ?? [],
    versions: versions?.map((one) => ({ version: one.revision, madeAt: one.metadata.creationTimestamp ?? null })) ?? null,
    sessions: rowsOf(sessions, uses).map(rowInJson),
    events: 'told' in events ? events.told : null,
  }
}
