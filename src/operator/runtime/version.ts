import { createHash } from 'node:crypto'
import { AGENT_RUNTIMES, type AgentRuntime, type AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import { applyDefaults } from '../../crds/prune.ts'
import { schemaOf } from '../../crds/manifest.ts'
import { thousandths, type Quantity } from '../../crds/quantity.ts'
import { RUNTIME_LABEL } from '../../crds/agent-session.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import { versionName } from '../../sessions/runtime-version.ts'

/** The part of a runtime's spec that a change of makes a new version (design 2). Endpoints and pools are not in it. */
const VERSIONED = [
  'artifact',
  'protocol',
  'environment',
  'authorizer',
  'requestHeaders',
  'lifecycle',
  'startTimeoutSeconds',
  'resources',
  'securityContext',
  'runtimeClassName',
  'serviceAccountName',
  'placement',
  'volumes',
] as const satisfies (keyof AgentRuntimeSpec)[]

export type VersionedSpec = Pick<AgentRuntimeSpec, (typeof VERSIONED)[number]>

/** Values that mean the same as absence: left out before hashing, so that an upgrade with new defaults mints no versions. */
const DEFAULTS: Record<string, unknown> = {
  protocol: 'HTTP',
  environment: [],
  startTimeoutSeconds: 45,
  'lifecycle.idleTimeoutSeconds': 900,
  'lifecycle.maxLifetimeSeconds': 28_800,
  'lifecycle.stopGraceSeconds': 4,
  'resources.limits.cpu': '1',
  'resources.limits.memory': '1Gi',
  'resources.limits.ephemeral-storage': '2Gi',
  'securityContext.runAsUser': 1000,
  'securityContext.readOnlyRootFilesystem': false,
  volumes: [],
  'volumes[].emptyDir.sizeLimit': '1Gi',
  'artifact.container.imagePullSecrets': [],
  'placement.tolerations': [],
}
/** One amount has many spellings. */
const QUANTITIES = /^resources\.|\.sizeLimit$/

export const SPEC_HASH_ANNOTATION = 'carrel.dev/spec-hash'

export function versionedPart(spec: AgentRuntimeSpec): VersionedSpec {
  return Object.fromEntries(VERSIONED.filter((field) => spec[field] !== undefined).map((field) => [field, spec[field]])) as VersionedSpec
}

/** A version as the spec's schema is now: one that was stored before a field was there has its default. */
export function withDefaults(version: VersionedSpec): VersionedSpec {
  return versionedPart(applyDefaults(schemaOf(AGENT_RUNTIMES).properties!['spec']!, version) as AgentRuntimeSpec)
}

/** Equal for specs that mean the same, whatever the order of their keys. */
export function hashOf(spec: VersionedSpec): string {
  return createHash('sha256')
    .update(JSON.stringify(normalise(spec, '')))
    .digest('hex')
    .slice(0, 32)
}

function normalise(value: unknown, path: string): unknown {
  if (JSON.stringify(spelled(value, path)) === JSON.stringify(spelled(DEFAULTS[path], path))) return undefined
  if (Array.isArray(value)) return value.map((item) => normalise(item, `${path}[]`))
  if (typeof value !== 'object' || value === null) return spelled(value, path)
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, normalise(inner, path ? `${path}.${key}` : key)] as const)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

function spelled(value: unknown, path: string): unknown {
  const isQuantity = QUANTITIES.test(path) && (typeof value === 'string' || typeof value === 'number')
  return isQuantity ? String(thousandths(value as Quantity)) : value
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
