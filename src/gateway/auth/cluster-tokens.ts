import { createHash } from 'node:crypto'
import { TOKEN_AUDIENCE } from '../../crds/system.ts'
import type { Clock } from '../../env/clock.ts'
import { reviewToken, tokenIssuer, type ClusterUser } from '../../kube/reviews.ts'
import type { Transport } from '../../kube/transport.ts'
import { AnswerCache, ReviewUnavailable, type Answered } from './answer-cache.ts'

const LONGEST_TOKEN_CHARACTERS = 16_384
/** A server that hides its issuer is asked again after this. */
const HIDDEN_MS = 60_000
/** Nobody's, so that a cache entry can hold it. */
const NOBODY = { name: '', groups: [] }

/** Whose bearer tokens of the cluster are (TokenReview), for seconds. */
export interface ClusterTokens {
  /** By its own claims, unverified: issuer and audience are the cluster's or Carrel's. A review is made for no other. */
  isOurs(token: string): Promise<boolean>
  /** Throws ReviewUnavailable when nobody can be asked. */
  userOf(token: string): Promise<Answered<ClusterUser | undefined>>
}

export class TokenReviews implements ClusterTokens {
  readonly #clock: Clock
  readonly #transport: Transport
  readonly #users: AnswerCache<ClusterUser>
  #issuer: { name: string | undefined; atMs: number } | undefined

  constructor(clock: Clock, transport: Transport) {
    this.#clock = clock
    this.#transport = transport
    this.#users = new AnswerCache(clock)
  }

  async isOurs(token: string): Promise<boolean> {
    const { iss, aud } = unverifiedClaims(token)
    if (iss === undefined) return false
    const issuer = await this.#clusterIssuer()
    return iss === issuer && aud.some((audience) => audience === TOKEN_AUDIENCE || audience === issuer)
  }

  async userOf(token: string): Promise<Answered<ClusterUser | undefined>> {
    if (token.length > LONGEST_TOKEN_CHARACTERS) return { answer: undefined, stale: false }
    const key = createHash('sha256').update(token).digest('base64url')
    const { answer, stale } = await this.#users.get(key, async () => {
      const issuer = await this.#clusterIssuer()
      return (await reviewToken(this.#transport, token, [TOKEN_AUDIENCE, ...(issuer ? [issuer] : [])])) ?? NOBODY
    })
    return { answer: answer === NOBODY ? undefined : answer, stale }
  }

  async #clusterIssuer(): Promise<string | undefined> {
    const known = this.#issuer
    if (known && (known.name !== undefined || this.#clock.monotonic() - known.atMs < HIDDEN_MS)) return known.name
    const name = await tokenIssuer(this.#transport).catch((error: unknown) => {
      throw new ReviewUnavailable('the Kubernetes API does not answer', { cause: error })
    })
    this.#issuer = { name, atMs: this.#clock.monotonic() }
    return name
  }
}

function unverifiedClaims(token: string): { iss?: string; aud: readonly string[] } {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined || token.length > LONGEST_TOKEN_CHARACTERS) return { aud: [] }
  try {
    const { iss, aud } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { iss?: unknown; aud?: unknown }
    const audiences = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string')
    return { ...(typeof iss === 'string' ? { iss } : {}), aud: audiences }
  } catch {
    return { aud: [] }
  }
}
