import type { AgentRuntime, AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { CONTROLLER_REVISIONS, type Resource } from '../../kube/resource.ts'
import { withoutContent } from '../../kube/slim.ts'
import type { Store } from '../../kube/store.ts'
import { isVersionOf, versionName } from '../../sessions/runtime-version.ts'
import { policyOf } from '../policy.ts'
import type { Policy } from '../session-port.ts'

/** A version of a runtime, as far as the gateway reads it. */
export type VersionPolicy = ControllerRevision<Policy>

export const VERSION_POLICIES = CONTROLLER_REVISIONS as Resource<ControllerRevision> as Resource<VersionPolicy>

/** What judges calls of a version; its code and environment are no business of a gateway. Throws when the revision holds none. */
export function policyPart({ data, ...revision }: VersionPolicy): VersionPolicy {
  return { ...withoutContent(revision), revision: revision.revision, data: policyOf(data as unknown as AgentRuntimeSpec) }
}

/**
 * What judges calls of the endpoint now (design 2). DEFAULT is the spec, whose version is made or being made. A named endpoint
 * is the version that the spec pins it to, whatever a status says. Undefined: there is no such endpoint, or no such version.
 */
export function policyOfEndpoint(runtime: AgentRuntime, endpoint: string, versions: Store<VersionPolicy>): Policy | undefined {
  const { metadata, spec } = runtime
  if (endpoint === 'DEFAULT') return policyOf(spec)
  const pinned = spec.endpoints?.find(({ name }) => name === endpoint)
  const version = pinned && versions.get(metadata.namespace, versionName(metadata.name, pinned.version))
  return version && isVersionOf(version, runtime) ? version.data : undefined
}
