import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { Change } from '../../kube/store.ts'
import { keyOf } from '../../kube/store.ts'
import type { Cluster } from '../cluster.ts'
import { audiencesOfJWT } from './audience.ts'
import { authorizersOf } from './authorizers.ts'

/**
 * Security rule 8: where two runtimes take tokens of one issuer and one audience, a token that was made for one opens the
 * other. Says with whom; a runtime of another namespace is not named to who may not see it. The same words while any is left.
 */
export function sharedAudience(runtime: AgentRuntime, cluster: Cluster): string | undefined {
  let other: AgentRuntime | undefined
  for (const candidate of sharersOf(runtime, cluster)) {
    if (other === undefined || nearer(candidate, other, runtime)) other = candidate
  }
  if (other === undefined) return undefined
  const who = isNeighbour(other, runtime) ? `the runtime ${keyOf(other)}` : 'a runtime of another namespace'
  return `${who} takes tokens of the same issuer and audience: what is issued for one opens the other; give each an audience of its own`
}

function nearer(a: AgentRuntime, b: AgentRuntime, to: AgentRuntime): boolean {
  if (isNeighbour(a, to) !== isNeighbour(b, to)) return isNeighbour(a, to)
  return a.metadata.name < b.metadata.name
}

function isNeighbour(a: AgentRuntime, b: AgentRuntime): boolean {
  return a.metadata.namespace === b.metadata.namespace
}

/** Other runtimes one of whose endpoints takes a token that one of this runtime's does; some more than once. */
function* sharersOf(runtime: AgentRuntime, cluster: Cluster): Generator<AgentRuntime> {
  const audiences = new Set(authorizersOf(runtime, cluster).flatMap(({ customJWT }) => audiencesOfJWT(customJWT)))
  for (const audience of audiences) {
    for (const other of takersOf(audience, cluster)) {
      if (other.metadata.uid !== runtime.metadata.uid && !other.metadata.deletionTimestamp) yield other
    }
  }
}

/** By their spec, which is DEFAULT's; and by a version that a named endpoint is pinned to. */
function* takersOf(audience: string, cluster: Cluster): Generator<AgentRuntime> {
  yield* cluster.runtimes.by('audience', audience)
  for (const revision of cluster.revisions.by('audience', audience)) {
    const owner = revision.metadata.ownerReferences?.find(({ controller }) => controller === true)
    const runtime = owner && cluster.runtimes.get(revision.metadata.namespace, owner.name)
    const isPinned = runtime?.spec.endpoints?.some(({ version }) => version === revision.revision)
    if (runtime && isPinned && cluster.versionOf(runtime, revision.revision) === revision) yield runtime
  }
}

/** Keys of the runtimes whose condition a change of this one may change: those that share now, and those that did before. */
export function touchedBy(change: Change<AgentRuntime>, cluster: Cluster): string[] {
  if (change.type === 'updated' && change.previous.metadata.generation === change.object.metadata.generation) return []
  const versions = change.type === 'updated' ? [change.object, change.previous] : [change.object]
  return versions.flatMap((runtime) => [...sharersOf(runtime, cluster)].map(keyOf))
}
