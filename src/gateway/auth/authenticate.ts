import type { CustomJWT } from '../../crds/authorizer.ts'
import type { Clock } from '../../env/clock.ts'
import type { ClusterUser } from '../../kube/reviews.ts'
import type { Owner } from '../../sessions/key.ts'
import type { ArnScope } from '../../sessions/runtime-id.ts'
import { SigningKeys } from '../../sigv4/canonical.ts'
import { GatewayError, denied } from '../errors.ts'
import type { Headers } from '../http/headers-in.ts'
import type { RuntimeTarget } from '../session-port.ts'
import type { AccessKeys } from './access-keys.ts'
import { bearerOf, schemeOf } from './bearer.ts'
import { unauthorized } from './challenge.ts'
import type { ClusterTokens } from './cluster-tokens.ts'
import { readClaim, verify } from './sigv4.ts'

export type Method = 'sigv4' | 'serviceaccount' | 'jwt'

/** Whom authentication has found. `user`: known to the cluster, so that RBAC judges; a bearer of a JWT runtime has none. */
export interface Identity {
  method: Method
  owner: Owner
  user?: ClusterUser
  /** The identity is an older answer, because nobody could be asked anew. */
  stale: boolean
}

/** What of a request says who calls. */
export interface Presented {
  method: string
  rawPath: string
  rawQuery: string
  headers: Headers
  /** Where the protected-resource document of this endpoint is, as the caller sees this gateway. */
  metadataUrl?: string | undefined
}

/** A signature is complete only with the hash of the body that was signed. */
export type Authentication = { identity: Identity } | { accessKeyId: string; finish: (bodySha256: string) => Identity }

/** What is asked of `oidc`. */
export interface Bearers {
  authorize(
    customJWT: CustomJWT,
    token: string,
  ): Promise<
    | { allowed: true; issuer: string; subject: string }
    | { allowed: false; error: 'invalid_token' | 'insufficient_scope' | 'invalid_request'; description: string }
    | { unavailable: true; code: string }
  >
}

const MISMATCH =
  'Authorization method mismatch. The agent is configured for a different authorization method than what was used in your request.'

/**
 * Who calls (design 4, "Inbound identity"). A runtime with `authorizer.customJWT` takes bearer tokens of its provider only,
 * one without takes identities of the cluster. Everything is decided from the head of the request, but the hash of a signed body.
 */
export class Authenticator {
  readonly #clock: Clock
  readonly #scope: ArnScope
  readonly #keys: AccessKeys
  readonly #tokens: ClusterTokens
  readonly #bearers: Bearers
  readonly #signingKeys = new SigningKeys()

  constructor(clock: Clock, scope: ArnScope, parts: { keys: AccessKeys; tokens: ClusterTokens; bearers: Bearers }) {
    this.#clock = clock
    this.#scope = scope
    this.#keys = parts.keys
    this.#tokens = parts.tokens
    this.#bearers = parts.bearers
  }

  /** For a call of `target`; undefined: there is no such runtime, which who may not invoke must not learn. */
  async begin(presented: Presented, target: RuntimeTarget | undefined): Promise<Authentication> {
    const customJWT = target?.policy.authorizer?.customJWT
    if (customJWT !== undefined) return { identity: await this.#bearer(customJWT, presented) }
    return this.#ofCluster(presented, async (token) => {
      if (await this.#tokens.isOurs(token)) return
      throw denied(
        `${MISMATCH} Sign the request with an access key of this installation (AWS Signature Version 4), or send a service-account token of its cluster`,
      )
    })
  }

  /** For what is no agent's: any identity that the cluster knows, whatever its token looks like. */
  beginOfCluster(presented: Presented): Promise<Authentication> {
    return this.#ofCluster(presented, async () => {})
  }

  async #bearer(customJWT: CustomJWT, { headers, metadataUrl }: Presented): Promise<Identity> {
    const scheme = schemeOf(headers)
    if (scheme === 'signature') throw denied(`${MISMATCH} Send a bearer token of its identity provider (Authorization: Bearer …)`)
    if (scheme !== 'bearer') throw unauthorized({ description: 'send a bearer token of the identity provider of this agent' }, metadataUrl)
    const token = bearerOf(headers)
    if (token === undefined) throw unauthorized({ error: 'invalid_token', description: 'the bearer token is malformed' }, metadataUrl)
    const verdict = await this.#bearers.authorize(customJWT, token)
    if ('unavailable' in verdict) {
      throw new GatewayError(
        'InternalServerException',
        `the identity provider of this agent cannot be asked (${verdict.code}): try again later`,
      )
    }
    if (!verdict.allowed) throw unauthorized(verdict, metadataUrl)
    const { issuer, subject } = verdict
    return { method: 'jwt', owner: { kind: 'jwt', issuer, subject }, stale: false }
  }

  async #ofCluster(presented: Presented, checkOurs: (token: string) => Promise<void>): Promise<Authentication> {
    const { headers } = presented
    if (schemeOf(headers) === 'bearer') {
      const token = bearerOf(headers)
      if (token === undefined) throw denied('the bearer token is malformed')
      await checkOurs(token)
      const { answer: user, stale } = await this.#tokens.userOf(token)
      if (user === undefined)
        throw denied('the token is not good: the cluster does not know it, or it has expired. Get a new one (kubectl create token)')
      return { identity: { method: 'serviceaccount', owner: ownerOf(user), user, stale } }
    }
    const claim = readClaim(headers, presented.rawQuery, this.#keys, this.#scope, this.#clock.now())
    return {
      accessKeyId: claim.key.accessKeyId,
      finish: (bodySha256) => {
        const { method, rawPath, rawQuery } = presented
        const user = verify(claim, { method, rawPath, rawQuery, headers, bodySha256 }, this.#scope, this.#signingKeys)
        return { method: 'sigv4', owner: ownerOf(user), user, stale: false }
      },
    }
  }
}

/** By the user's name alone, so that keys rotate and tokens renew without a change of owner. */
function ownerOf({ name }: ClusterUser): Owner {
  return { kind: 'kubernetes', issuer: 'kubernetes', subject: name }
}
