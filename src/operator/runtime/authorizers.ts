import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { CustomJWT } from '../../crds/authorizer.ts'
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
