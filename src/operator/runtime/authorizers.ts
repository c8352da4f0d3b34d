import type { AgentRuntime, AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import type { CustomJWT } from '../../crds/authorizer.ts'
import { issuerOf } from '../../oidc/protected-resource.ts'
import type { Cluster } from '../cluster.ts'

export interface EndpointAuthorizer {
  endpoint: string
  customJWT: CustomJWT
}

/** Of DEFAULT, and of each named endpoint by the version that it is pinned to. Those without one, or without a version, are left out. */
export function authorizersOf(runtime: AgentRuntime, cluster: Cluster): EndpointAuthorizer[] {
  const { authorizer, endpoints = [] } = runtime.spec
  const all = [
    { endpoint: 'DEFAULT', authorizer },
    ...endpoints.map(({ name, version }) => ({ endpoint: name, authorizer: cluster.versionOf(runtime, version)?.data.authorizer })),
  ]
  return all.flatMap(({ endpoint, authorizer: found }) => (found?.customJWT ? [{ endpoint, customJWT: found.customJWT }] : []))
}

/** Issuer and audience that a spec, or a version of it, takes tokens of: each as one string to compare and index by. */
export function audiencesOf({ authorizer }: Pick<AgentRuntimeSpec, 'authorizer'>): string[] {
  return authorizer?.customJWT ? audiencesOfJWT(authorizer.customJWT) : []
}

export function audiencesOfJWT(customJWT: CustomJWT): string[] {
  return [...new Set(customJWT.allowedAudience ?? [])].map((audience) => `${issuerOf(customJWT)}\n${audience}`)
}
