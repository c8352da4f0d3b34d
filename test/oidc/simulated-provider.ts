/** A provider on a virtual clock, which answers the port of `src/oidc` itself, and counts. */
import { SignJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK, type JWTPayload } from 'jose'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import { DocumentError } from '../../src/oidc/document-error.ts'
import type { AskedDocument, FetchedDocument } from '../../src/oidc/fetch-document.ts'

export const ISSUER = 'https://idp.example.com/tenant'
export const DISCOVERY_URL = `${ISSUER}/.well-known/openid-configuration`

export class SimulatedProvider {
  readonly clock = new VirtualClock(seededRandom(1))
  readonly issuer: string
  /** `hang`: takes a question, and is late with the answer. */
  mode: 'up' | 'refuse' | 'hang' = 'up'
  /** What was asked, in order. */
  readonly asked: { url: string; atMs: number; etag?: string | undefined }[] = []
  /** Documents that are answered instead of its own, by URL. */
  readonly documents = new Map<string, Record<string, unknown>>()
  /** Whether it answers that nothing changed. */
  conditional = false
  readonly #keys = new Map<string, { algorithm: string; privateKey: CryptoKey; jwk: JWK }>()
  published: string[] = []

  static async make(issuer = ISSUER): Promise<SimulatedProvider> {
    const provider = new SimulatedProvider(issuer)
    await provider.addKey('first')
    return provider
  }

  private constructor(issuer: string) {
    this.issuer = issuer
  }

  get env(): { clock: VirtualClock; fetchDocument: (asked: AskedDocument) => Promise<FetchedDocument> } {
    return { clock: this.clock, fetchDocument: (asked) => this.#fetch(asked) }
  }

  get discoveryUrl(): string {
    return `${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  }

  /** How often its keys were asked for. */
  get looks(): number {
    return this.asked.filter(({ url }) => url.endsWith('/keys')).length
  }

  /** An authorizer of this provider. */
  authorizer(conditions: Partial<CustomJWT> = { allowedAudience: ['agents'] }): CustomJWT {
    return { discoveryUrl: this.discoveryUrl, ...conditions }
  }

  async addKey(kid: string, algorithm = 'ES256', more: JWK | object = {}): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm)
    this.#keys.set(kid, { algorithm, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig', ...more } })
    this.published = [...this.published.filter((one) => one !== kid), kid]
  }

  jwkOf(kid: string): JWK {
    return this.#keys.get(kid)!.jwk
  }

  keyOf(kid: string): CryptoKey {
    return this.#keys.get(kid)!.privateKey
  }

  /** Good for ten minutes and the audience `agents`, but for what the claims say. */
  async token(claims: JWTPayload = {}, { kid = 'first', header = {} }: { kid?: string; header?: object } = {}): Promise<string> {
    const { algorithm, privateKey } = this.#keys.get(kid)!
    const payload = { iss: this.issuer, sub: 'someone', aud: 'agents', iat: this.seconds(0), exp: this.seconds(600), ...claims }
    return new SignJWT(payload).setProtectedHeader({ alg: algorithm, kid, ...header }).sign(privateKey)
  }

  /** Seconds since the epoch, this many from the clock's now. */
  seconds(fromNow: number): number {
    return Math.floor(this.clock.now() / 1000) + fromNow
  }

  async #fetch({ url, etag, withinMs }: AskedDocument): Promise<FetchedDocument> {
    this.asked.push({ url, atMs: this.clock.monotonic(), etag })
    if (this.mode === 'refuse') throw new DocumentError('Unreachable')
    if (this.mode === 'hang') {
      await new Promise<void>((resolve) => this.clock.after(withinMs, resolve))
      throw new DocumentError('TooSlow')
    }
    const keys = { keys: this.published.map((kid) => this.jwkOf(kid)) }
    const document = this.documents.get(url) ?? (url.endsWith('/keys') ? keys : { issuer: this.issuer, jwks_uri: `${ISSUER}/keys` })
    const newTag = `"${JSON.stringify(document).length}-${this.published.join()}"`
    return this.conditional && etag === newTag ? { changed: false } : { changed: true, document, etag: newTag }
  }
}
