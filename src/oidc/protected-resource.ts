import type { CustomJWT } from '../crds/authorizer.ts'

const WELL_KNOWN = '/.well-known/openid-configuration'

/** Who issues the tokens that the authorizer takes: the discovery URL without its well-known end. */
export function issuerOf({ discoveryUrl }: Pick<CustomJWT, 'discoveryUrl'>): string {
  return discoveryUrl.slice(0, -WELL_KNOWN.length)
}

/** RFC 9728, section 2: where a client gets a token for this resource. */
export function protectedResource(resource: string, customJWT: CustomJWT): Record<string, unknown> {
  const { allowedScopes } = customJWT
  return {
    resource,
    authorization_servers: [issuerOf(customJWT)],
    bearer_methods_supported: ['header'],
    ...(allowedScopes ? { scopes_supported: allowedScopes } : {}),
  }
}
