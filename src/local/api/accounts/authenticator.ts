import type { Clock } from '../../../env/clock.ts'
import type { Identity } from '../call.ts'
import type { ObjectStore } from '../object-store.ts'
import { ISSUER, claimsSchema, type Claims } from './claims.ts'
import type { KeyRing } from './key-ring.ts'
import { holderOf, type KnownTokens } from './known-tokens.ts'

/** Who holds a token, and for which of the audiences it is good; or why it is none, as the real server would say it. */
export type Recognised = { identity: Identity; audiences: string[] } | { error: string }

const UNKNOWN = 'invalid bearer token'
const because = (why: string): { error: string } => ({ error: `[${UNKNOWN}, ${why}]` })

/** Recognises bearer tokens: those that the installation has given its parts, and those of service accounts. */
export class Authenticator {
  readonly #clock: Clock
  readonly #store: ObjectStore
  readonly #keys: KeyRing
  #tokens: KnownTokens = new Map()

  constructor(clock: Clock, store: ObjectStore, keys: KeyRing) {
    this.#clock = clock
    this.#store = store
    this.#keys = keys
  }

  /** From now on these tokens are known, too. */
  take(tokens: KnownTokens): void {
    this.#tokens = tokens
  }

  /** `audiences`: for whom it has to be good; none: for this server. A service account that is gone takes its tokens along. */
  recognise(token: string, audiences: readonly string[] = []): Recognised {
    const wanted = audiences.length > 0 ? audiences : [ISSUER]
    const holder = holderOf(token, this.#tokens)
    if (holder) return wanted.includes(ISSUER) ? { identity: holder, audiences: [ISSUER] } : { error: UNKNOWN }
    const read = this.#keys.known()?.read(token) ?? 'no token of this key'
    if (read === 'no token of this key') return { error: UNKNOWN }
    if (read === 'forged') return because('go-jose/go-jose: error in cryptographic primitive')
    const { data: claims } = claimsSchema.safeParse(read.claims)
    if (claims?.iss !== ISSUER) return { error: UNKNOWN }
    return this.#ofAccount(claims, wanted)
  }

  #ofAccount(claims: Claims, wanted: readonly string[]): Recognised {
    const audiences = wanted.filter((audience) => claims.aud.includes(audience))
    if (audiences.length === 0) {
      return because(`token audiences ${listed(claims.aud)} is invalid for the target audiences ${listed(wanted)}`)
    }
    const nowSeconds = this.#clock.now() / 1000
    if (nowSeconds >= claims.exp) return because('service account token has expired')
    if (nowSeconds < claims.nbf) return because('service account token is not valid yet')
    const dead = this.#whyDead(claims)
    return dead === undefined ? { identity: accountOf(claims), audiences } : because(dead)
  }

  #whyDead({ 'kubernetes.io': { namespace, serviceaccount, pod, secret, node } }: Claims): string | undefined {
    const account = this.#store.get({ collection: 'core/serviceaccounts', namespace, name: serviceaccount.name })
    if (account === undefined) return `serviceaccounts ${JSON.stringify(serviceaccount.name)} not found`
    if (account.metadata.uid !== serviceaccount.uid) {
      return `service account UID (${account.metadata.uid}) does not match claim (${serviceaccount.uid})`
    }
    const isThere = (collection: string, place: string, bound: { name: string; uid?: string | undefined } | undefined): boolean =>
      bound === undefined || this.#store.get({ collection, namespace: place, name: bound.name })?.metadata.uid === bound.uid
    const isBoundToLife =
      isThere('core/pods', namespace, pod) &&
      isThere('core/secrets', namespace, secret) &&
      (pod !== undefined || isThere('core/nodes', '', node))
    return isBoundToLife ? undefined : 'service account token has been invalidated'
  }
}

const listed = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(' ')}]`

const EXTRA = 'authentication.kubernetes.io'

/** Its rights are what roles say of it, and nothing else. */
function accountOf({ sub, jti, 'kubernetes.io': { namespace, serviceaccount, pod, node } }: Claims): Identity {
  const bound = { 'pod-name': pod?.name, 'pod-uid': pod?.uid, 'node-name': node?.name, 'node-uid': node?.uid }
  const said = Object.entries(bound).flatMap(([key, value]) => (value === undefined ? [] : [[`${EXTRA}/${key}`, [value]] as const]))
  return {
    user: sub,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: { [`${EXTRA}/credential-id`]: [`JTI=${jti}`], ...Object.fromEntries(said) },
    allows: () => false,
  }
}
