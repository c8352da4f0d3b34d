import { AGENT_RUNTIMES, type AgentRuntime } from '../../crds/agent-runtime.ts'
import type { AgentSession } from '../../crds/agent-session.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { CONTROLLER_REVISIONS } from '../../kube/resource.ts'
import { versionName } from '../../sessions/runtime-version.ts'
import type { Cluster } from '../cluster.ts'
import { refusalOf } from '../runtime/refusal.ts'
import type { VersionedSpec } from '../runtime/version.ts'
import type { SessionTools } from './step.ts'

export type CurrentVersion =
  | { revision: ControllerRevision<VersionedSpec> }
  /** The runtime's own reconcile, or a cache, has to catch up first; what it waits for wakes the session. */
  | 'later'
  /** This installation cannot run it, or by the API server's word it is gone; in words for people. */
  | { refused: string }

/** The version that the session's endpoint names at this moment: what a new incarnation runs (design 2). */
export async function currentVersion(
  { spec: { endpoint } }: AgentSession,
  runtime: AgentRuntime,
  { cluster, settings }: Pick<SessionTools, 'cluster' | 'settings'>,
): Promise<CurrentVersion> {
  const refused = endpoint === 'DEFAULT' ? refusalOf(runtime.spec, runtime.metadata.namespace!, settings) : undefined
  if (refused) return { refused: refused.message }
  const { status, metadata } = runtime
  if (status?.observedGeneration !== metadata.generation) return 'later'
  const version = status?.endpoints?.find(({ name }) => name === endpoint)?.version
  const revision = version === undefined ? undefined : cluster.versionOf(runtime, version)
  if (revision === undefined) return endpoint === 'DEFAULT' ? 'later' : endOfEndpoint(endpoint, runtime, cluster)
  const unable = refusalOf(revision.data, metadata.namespace!, settings)
  return unable ? { refused: unable.message } : { revision }
}

/** The gateway that made the session has seen its endpoint: a cache that is behind ends nothing. */
async function endOfEndpoint(endpoint: string, { metadata }: AgentRuntime, { client }: Cluster): Promise<CurrentVersion> {
  const runtime = await client.find(AGENT_RUNTIMES, metadata.namespace, metadata.name)
  if (runtime?.metadata.uid !== metadata.uid || runtime?.metadata.generation !== metadata.generation) return 'later'
  const pinned = runtime?.spec.endpoints?.find(({ name }) => name === endpoint)
  if (pinned === undefined) return { refused: `endpoint ${endpoint} was removed from AgentRuntime ${metadata.name}` }
  const revision = await client.find(CONTROLLER_REVISIONS, metadata.namespace, versionName(metadata.name, pinned.version))
  return revision ? 'later' : { refused: `endpoint ${endpoint} names version ${pinned.version}, which does not exist` }
}
