import type { ApiAnswer } from '../call.ts'
import { parseAccept } from '../http/media-types.ts'
import { Refusal } from '../statuses.ts'
import { ISSUER } from './claims.ts'
import type { KeyRing } from './key-ring.ts'

/** Where the public keys are: of a type of its own (RFC 7517). */
export const KEYS_PATH = '/openid/v1/jwks'
const KEYS_TYPE = 'application/jwk-set+json'

/**
 * OpenID Connect discovery of the service-account tokens, for whoever checks them without asking the server. `url`: where
 * this server listens, as far as it does.
 */
export async function describeIssuer(
  { path, accept }: { path: string; accept?: string },
  keys: KeyRing,
  url: string | undefined,
): Promise<ApiAnswer | undefined> {
  switch (path.replace(/\/$/, '')) {
    case '/.well-known/openid-configuration':
      return {
        status: 200,
        body: {
          issuer: ISSUER,
          jwks_uri: `${url ?? ISSUER}${KEYS_PATH}`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
        },
      }
    case KEYS_PATH:
      if (!parseAccept(accept).some(({ type }) => type === KEYS_TYPE || type === '*/*')) {
        throw new Refusal(406, 'NotAcceptable', `only the following media types are accepted: ${KEYS_TYPE}`)
      }
      return { status: 200, headers: { 'content-type': KEYS_TYPE }, body: { keys: [(await keys.key()).jwk] } }
    default:
      return undefined
  }
}
