import type { JWTPayload } from 'jose'
import type { CustomClaim, CustomJWT } from '../crds/authorizer.ts'
import type { Refusal } from './verdict.ts'

/**
 * Where providers write the client, the first that is there counts: `client_id` (RFC 9068, Cognito), `azp` (Entra v2, OpenID Connect),
 * `appid` (Entra v1), `cid` (Okta).
 */
const CLIENT_CLAIMS = ['client_id', 'azp', 'appid', 'cid']
/** `scope` (RFC 8693) and `scp` (Okta, Entra), each as words in a string or as a list; all count. */
const SCOPE_CLAIMS = ['scope', 'scp']

/** Contract 3.3: every condition that is set must hold. Undefined when they do; the description tells no expected value. */
export function refusalBy(customJWT: CustomJWT, claims: JWTPayload): Refusal | undefined {
  const { allowedAudience, allowedClients, allowedScopes, customClaims } = customJWT
  const invalid = (description: string): Refusal => ({ allowed: false, error: 'invalid_token', description })
  if ([allowedAudience, allowedClients, allowedScopes, customClaims].every((condition) => condition === undefined)) {
    return invalid('the authorizer has no condition')
  }
  if (allowedAudience && !meets(allowedAudience, wordsOf(claimOf(claims, 'aud')))) return invalid('the token is for another audience')
  if (allowedClients && !meets(allowedClients, clientOf(claims))) return invalid('the token is of a client that is not allowed')
  if (customClaims && !customClaims.every((claim) => matches(claim, claims))) return invalid('the token has not the claims that are wanted')
  if (allowedScopes && !meets(allowedScopes, scopesOf(claims))) {
    return { allowed: false, error: 'insufficient_scope', description: 'the token has none of the scopes that are wanted' }
  }
  return undefined
}

function meets(allowed: readonly string[], words: readonly unknown[]): boolean {
  return words.some((word) => typeof word === 'string' && allowed.includes(word))
}

function clientOf(claims: JWTPayload): unknown[] {
  const name = CLIENT_CLAIMS.find((claim) => claimOf(claims, claim) !== undefined)
  return name === undefined ? [] : [claimOf(claims, name)]
}

function scopesOf(claims: JWTPayload): unknown[] {
  return SCOPE_CLAIMS.flatMap((name) => {
    const value = claimOf(claims, name)
    return typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : wordsOf(value)
  })
}

function wordsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'string' ? [value] : []
}

/** A claim of another type than the condition says does not match. */
function matches(
  { inboundTokenClaimName, inboundTokenClaimValueType, authorizingClaimMatchValue }: CustomClaim,
  claims: JWTPayload,
): boolean {
  const value = claimOf(claims, inboundTokenClaimName)
  const { claimMatchOperator, claimMatchValue } = authorizingClaimMatchValue
  const { matchValueString, matchValueStringList = [] } = claimMatchValue
  if (claimMatchOperator === 'EQUALS')
    return inboundTokenClaimValueType === 'STRING' && matchValueString !== undefined && value === matchValueString
  if (inboundTokenClaimValueType !== 'STRING_ARRAY' || !Array.isArray(value)) return false
  if (claimMatchOperator === 'CONTAINS') return matchValueString !== undefined && value.includes(matchValueString)
  return matchValueStringList.some((wanted) => value.includes(wanted))
}

/** Never what every object has by itself. */
function claimOf(claims: JWTPayload, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}
