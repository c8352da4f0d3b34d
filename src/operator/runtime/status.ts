import type { AgentRuntime, AgentRuntimeStatus } from '../../crds/agent-runtime.ts'
import { withCondition } from '../../kube/conditions.ts'
import type { Condition } from '../../kube/objects.ts'
import { issuerOf } from '../../oidc/protected-resource.ts'
import { agentRuntimeArn, agentRuntimeId } from '../../sessions/runtime-id.ts'
import type { Cluster } from '../cluster.ts'
import type { ProviderVerdict } from '../env.ts'
import type { OperatorSettings } from '../settings.ts'
import type { EndpointAuthorizer } from './authorizers.ts'
import type { Refusal } from './refusal.ts'

/** All that a runtime's status is made of. */
export interface Findings {
  refusal: Refusal | undefined
  /** The latest version; absent before the first. */
  latest: number | undefined
  authorizers: { of: EndpointAuthorizer; verdict: ProviderVerdict | undefined }[]
  /** Security rule 8, in words for people. */
  sharedAudience: string | undefined
}

type Said = Pick<Condition, 'status' | 'reason' | 'message'>

/** What a runtime's status says now. Conditions that have nothing to say of it are absent; equal findings give an equal status. */
export function statusOf(
  runtime: AgentRuntime,
  findings: Findings,
  cluster: Cluster,
  nowMs: number,
  settings: OperatorSettings,
): AgentRuntimeStatus {
  const { refusal, latest } = findings
  const id = agentRuntimeId(runtime)
  const observedGeneration = runtime.metadata.generation ?? 0
  const found = endpointsOf(runtime, latest, cluster)
  const said: Record<string, Said | undefined> = {
    Accepted: refusal ? { status: 'False', ...refusal } : { status: 'True', reason: 'Accepted', message: '' },
    Ready: refusal ? { status: 'False', ...refusal } : { status: 'True', reason: 'Ready', message: '' },
    EndpointsResolved: endpointsResolved(runtime, found.missing, latest),
    AuthorizerReady: authorizerReady(runtime, findings.authorizers),
    AudienceShared: findings.sharedAudience ? { status: 'True', reason: 'SharedWithRuntime', message: findings.sharedAudience } : undefined,
  }
  let conditions: Condition[] = (runtime.status?.conditions ?? []).filter(({ type }) => !(type in said) || said[type] !== undefined)
  for (const [type, what] of Object.entries(said))
    if (what) conditions = withCondition(conditions, { type, ...what, observedGeneration }, nowMs)
  return {
    observedGeneration,
    agentRuntimeId: id,
    agentRuntimeArn: agentRuntimeArn(id, settings),
    ...(latest === undefined ? {} : { latestVersion: latest, endpoints: found.endpoints }),
    conditions,
  }
}

type Endpoint = { name: string; version: number }

/** DEFAULT follows the latest version; a named endpoint is there while its version is (contract 3.4). */
function endpointsOf(runtime: AgentRuntime, latest: number | undefined, cluster: Cluster): { endpoints: Endpoint[]; missing: Endpoint[] } {
  const pinned = (runtime.spec.endpoints ?? []).map(({ name, version }) => ({ name, version }))
  const exists = ({ version }: Endpoint): boolean => cluster.versionOf(runtime, version) !== undefined
  return {
    endpoints: [...(latest === undefined ? [] : [{ name: 'DEFAULT', version: latest }]), ...pinned.filter(exists)],
    missing: pinned.filter((endpoint) => !exists(endpoint)),
  }
}

function endpointsResolved(runtime: AgentRuntime, missing: Endpoint[], latest: number | undefined): Said | undefined {
  if (!runtime.spec.endpoints?.length) return undefined
  if (missing.length === 0) return { status: 'True', reason: 'Resolved', message: '' }
  const names = missing.map(({ name, version }) => `endpoint ${name} names version ${version}`).join(', ')
  const newest = latest === undefined ? 'there is none yet' : `the latest is ${latest}`
  return { status: 'False', reason: 'VersionNotFound', message: `${names}, which does not exist: ${newest}` }
}

/** The worst of its providers. */
function authorizerReady(runtime: AgentRuntime, authorizers: Findings['authorizers']): Said | undefined {
  if (authorizers.length === 0) return undefined
  for (const { of, verdict } of authorizers) {
    if (verdict === undefined || verdict.ok) continue
    const message = `endpoint ${of.endpoint}: tokens of ${issuerOf(of.customJWT)} cannot be verified (${verdict.code}); looked at again every minute`
    return { status: 'False', reason: verdict.code, message }
  }
  if (authorizers.every(({ verdict }) => verdict?.ok)) return { status: 'True', reason: 'ProviderReady', message: '' }
  const before = runtime.status?.conditions?.find(({ type }) => type === 'AuthorizerReady')
  // A new leader knows nothing yet of what its predecessor has seen of the same spec.
  if (before && before.observedGeneration === runtime.metadata.generation) return before
  return { status: 'Unknown', reason: 'Checking', message: 'the identity provider is being asked' }
}
