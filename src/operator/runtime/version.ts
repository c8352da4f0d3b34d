import { createHash } from 'node:crypto'
import { AGENT_RUNTIMES, type AgentRuntime, type AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import { RUNTIME_LABEL } from '../../crds/agent-session.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import { versionName } from '../../sessions/runtime-version.ts'

/** The part of a runtime's spec that a change of makes a new version (design 2). Endpoints and pools are not in it. */
export type VersionedSpec = Pick<
  AgentRuntimeSpec,
  'artifact' | 'protocol' | 'environment' | 'authorizer' | 'requestHeaders' | 'lifecycle' | 'startTimeoutSeconds'
>

/** Values that mean the same as absence: left out before hashing, so that an upgrade with new defaults mints no versions. */
const DEFAULTS: Record<string, unknown> = {
  protocol: 'HTTP',
  environment: [],
  startTimeoutSeconds: 45,
  'lifecycle.idleTimeoutSeconds': 900,
  'lifecycle.maxLifetimeSeconds': 28_800,
}

export const SPEC_HASH_ANNOTATION = 'carrel.dev/spec-hash'

export function versionedPart(spec: AgentRuntimeSpec): VersionedSpec {
  const { artifact, protocol, environment, authorizer, requestHeaders, lifecycle, startTimeoutSeconds } = spec
  return {
    artifact,
    protocol,
    lifecycle,
    startTimeoutSeconds,
    ...(environment === undefined ? {} : { environment }),
    ...(authorizer === undefined ? {} : { authorizer }),
    ...(requestHeaders === undefined ? {} : { requestHeaders }),
  }
}

/** Equal for specs that mean the same, whatever the order of their keys. */
export function hashOf(spec: VersionedSpec): string {
  return createHash('sha256')
    .update(JSON.stringify(normalise(spec, '')))
    .digest('hex')
    .slice(0, 32)
}

function normalise(value: unknown, path: string): unknown {
  if (JSON.stringify(value) === JSON.stringify(DEFAULTS[path])) return undefined
  if (Array.isArray(value)) return value.map((item) => normalise(item, `${path}[]`))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, normalise(inner, path ? `${path}.${key}` : key)] as const)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** The immutable record of a version. Its name is the lock: two operators cannot mint the same number twice. */
export function revisionFor(runtime: AgentRuntime, version: number): ControllerRevision<VersionedSpec> {
  const { name, namespace, uid } = runtime.metadata
  const data = versionedPart(runtime.spec)
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: versionName(name, version),
      namespace: namespace!,
      labels: { [RUNTIME_LABEL]: name },
      annotations: { [SPEC_HASH_ANNOTATION]: hashOf(data) },
      ownerReferences: [
        {
          apiVersion: apiVersionOf(AGENT_RUNTIMES),
          kind: AGENT_RUNTIMES.kind,
          name,
          uid: uid!,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    revision: version,
    data,
  }
}
