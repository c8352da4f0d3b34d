import type { JWTPayload } from 'jose'
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import {
  JWKSMultipleMatchingKeys,
  JWKSNoMatchingKey,
  JWSSignatureVerificationFailed,
  JWTClaimValidationFailed,
  JWTExpired,
} from 'jose/errors'
import { jwtVerify } from 'jose/jwt/verify'
import type { KeySet } from './key-set.ts'
import type { Refusal } from './verdict.ts'

/** Asymmetric ones only: a published key is nobody's secret. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
export const LONGEST_TOKEN_BYTES = 16 * 1024
const TOLERANCE_SECONDS = 60
const LONGEST_SUBJECT = 1024
const LONGEST_KID = 1024
/** What providers sign for other ends than access; any other type is taken, as providers write what they like. */
const OTHER_ENDS = /^(application\/)?(logout|secevent|dpop|oauth-authz-req)\+jwt$/i

export interface VerifiedToken {
  subject: string
  expiresAtMs: number
  claims: JWTPayload
}

/** The kid of a token that is worth a look at keys, before any signature is checked (RFC 7515, 4.1). */
export function readKid(token: string): string | Refusal {
  if (token.length > LONGEST_TOKEN_BYTES) return refused('the token is too long')
  if (token.split('.').length !== 3) return refused('the token is malformed')
  try {
    const { alg, kid, crit, typ } = decodeProtectedHeader(token)
    if (!ALGORITHMS.includes(alg ?? '')) return refused('the token is signed by an algorithm that is not allowed')
    if (typeof kid !== 'string' || kid === '' || kid.length > LONGEST_KID) return refused('the token names no key')
    if (crit !== undefined) return refused('the token has critical extensions that are not known')
    if (typeof typ === 'string' && OTHER_ENDS.test(typ)) return refused('the token is no access token')
    return kid
  } catch {
    return refused('the token is malformed')
  }
}

/** Signature, issuer and times (RFC 7519, 4.1), with 60 s for clocks that differ; `exp` and `sub` must be there. */
export async function verifyToken(
  token: string,
  { issuer, keys, nowMs }: { issuer: string; keys: KeySet; nowMs: number },
): Promise<VerifiedToken | Refusal> {
  const options = {
    algorithms: ALGORITHMS,
    issuer,
    clockTolerance: TOLERANCE_SECONDS,
    currentDate: new Date(nowMs),
    requiredClaims: ['iss', 'exp', 'sub'],
  }
  let claims: JWTPayload
  try {
    claims = (await jwtVerify(token, keys.getKey, options)).payload
  } catch (error) {
    return refused(describe(error))
  }
  const { sub, iat, exp } = claims
  if (typeof sub !== 'string' || sub === '' || sub.length > LONGEST_SUBJECT || !sub.isWellFormed())
    return refused('the token has no usable subject')
  if (iat !== undefined && !(typeof iat === 'number' && iat * 1000 <= nowMs + TOLERANCE_SECONDS * 1000))
    return refused('the token is not valid yet')
  return { subject: sub, expiresAtMs: exp! * 1000, claims }
}

function describe(error: unknown): string {
  if (error instanceof JWTExpired) return 'the token has expired'
  if (error instanceof JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return 'the token is not valid yet'
    return error.claim === 'iss' ? 'the token is of another issuer' : 'the token lacks a claim that it must have'
  }
  if (error instanceof JWSSignatureVerificationFailed) return 'the signature of the token is wrong'
  if (error instanceof JWKSNoMatchingKey || error instanceof JWKSMultipleMatchingKeys)
    return 'the token is signed with a key that is not known'
  return 'the token is malformed'
}

function refused(description: string): Refusal {
  return { allowed: false, error: 'invalid_token', description }
}
