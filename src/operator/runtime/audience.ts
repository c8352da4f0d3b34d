import type { AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import type { CustomJWT } from '../../crds/authorizer.ts'
import { issuerOf } from '../../oidc/protected-resource.ts'

/** Issuer and audience that a spec, or a version of it, takes tokens of: each as one string to compare and index by. */
export function audiencesOf({ authorizer }: Pick<AgentRuntimeSpec, 'authorizer'>): string[] {
  return authorizer?.customJWT ? audiencesOfJWT(authorizer.customJWT) : []
}

export function audiencesOfJWT(customJWT: CustomJWT): string[] {
  return [...new Set(customJWT.allowedAudience ?? [])].map((audience) => `${issuerOf(customJWT)}\n${audience}`)
}
