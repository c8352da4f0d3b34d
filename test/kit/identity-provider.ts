/** Adapter: OpenID providers of a test's own, over HTTPS on the loopback. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK, type JWTPayload } from 'jose'
import { Agent, request } from 'undici'
import { certificateFor } from './redis-tls.ts'

const WELL_KNOWN = '/.well-known/openid-configuration'
const TOKEN_SECONDS = 300

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A server with a certificate of an authority of its own, which clients trust by `caFile`. Loopback only. */
class LoopbackServer {
  /** Paths of the requests that came, in order. */
  readonly requests: string[] = []
  /** Connections that were opened, whether a request came or not. */
  connections = 0
  readonly directory = mkdtempSync(join(tmpdir(), 'carrel-identity-'))
  readonly caFile: string
  port = 0
  listener: RequestListener = (_request, response) => void response.writeHead(404).end()
  readonly #server: Server
  #silent = false

  constructor(names: readonly string[] = []) {
    this.caFile = certificateFor(this.directory, names)
    const [cert, key] = ['server.crt', 'server.key'].map((file) => readFileSync(join(this.directory, file)))
    this.#server = createServer({ cert, key }, (request, response) => {
      this.requests.push(request.url ?? '')
      if (!this.#silent) this.listener(request, response)
    })
    this.#server.on('connection', () => void (this.connections += 1))
    this.#server.on('tlsClientError', () => {}) // a client that does not trust it
  }

  async listen(port: number): Promise<void> {
    this.#silent = false
    if (this.#server.listening) return
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  /** `refuse`: nobody listens. `hang`: requests are taken, and get no answer. */
  async stopAnswering(how: 'refuse' | 'hang'): Promise<void> {
    this.#silent = how === 'hang'
    if (how === 'hang' || !this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async stop(): Promise<void> {
    await this.stopAnswering('refuse')
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export interface IdentityProviderOptions {
  port?: number
  /** Of the issuer's URL, as `/tenant`. */
  path?: string
  /** Names beside 127.0.0.1 and localhost that its certificate is good for. */
  names?: readonly string[]
  /** Of its first key. */
  algorithm?: string
}

export interface TokenOptions {
  /** Of another key than the one it signs with now, withdrawn ones too. */
  kid?: string
  /** Negative for an expired one. */
  expiresInSeconds?: number
  /** More of the protected header. */
  header?: Record<string, unknown>
}

/** Issues whatever tokens a test asks for, and serves a discovery document and a key set. */
export class IdentityProvider {
  readonly #server: LoopbackServer
  readonly #path: string
  readonly #keys = new Map<string, { algorithm: string; privateKey: CryptoKey; jwk: JWK }>()
  readonly #published = new Set<string>()
  readonly #answers = new Map<string, Answer>()
  #signing = ''
  #made = 0

  static async start(options: IdentityProviderOptions = {}): Promise<IdentityProvider> {
    const provider = new IdentityProvider(options)
    await provider.rotate(options.algorithm)
    await provider.#server.listen(options.port ?? 0)
    return provider
  }

  private constructor({ path = '', names = [] }: IdentityProviderOptions) {
    this.#path = path
    this.#server = new LoopbackServer(names)
    this.#server.listener = (request, response) => this.#answer(request, response)
  }

  get port(): number {
    return this.#server.port
  }

  get issuer(): string {
    return `https://127.0.0.1:${this.port}${this.#path}`
  }

  /** What goes into `spec.authorizer.customJWT`. */
  get discoveryUrl(): string {
    return `${this.issuer}${WELL_KNOWN}`
  }

  /** PEM of the authority that clients must trust. */
  get caFile(): string {
    return this.#server.caFile
  }

  /** Paths that were asked for, in order. */
  get requests(): readonly string[] {
    return this.#server.requests
  }

  get connections(): number {
    return this.#server.connections
  }

  /** The key that signs now. */
  get kid(): string {
    return this.#signing
  }

  /** The published key set. */
  get keys(): JWK[] {
    return [...this.#published].map((kid) => this.#keys.get(kid)!.jwk)
  }

  /** Of this issuer, for five minutes from now, unless the claims say otherwise; `undefined` leaves a claim out. */
  async token(
    claims: JWTPayload = {},
    { kid = this.#signing, expiresInSeconds = TOKEN_SECONDS, header }: TokenOptions = {},
  ): Promise<string> {
    const { algorithm, privateKey } = this.#keys.get(kid)!
    const nowSeconds = Math.floor(Date.now() / 1000)
    const times = { iat: nowSeconds + Math.min(0, expiresInSeconds - TOKEN_SECONDS), exp: nowSeconds + expiresInSeconds }
    const payload = { iss: this.issuer, sub: 'someone', ...times, ...claims }
    return new SignJWT(payload).setProtectedHeader({ alg: algorithm, kid, ...header }).sign(privateKey)
  }

  /** A new key signs from now on, and those before it stay published. Answers its kid. */
  async rotate(algorithm = 'ES256'): Promise<string> {
    const kid = `key-${(this.#made += 1)}`
    const { publicKey, privateKey } = await generateKeyPair(algorithm)
    this.#keys.set(kid, { algorithm, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } })
    this.#published.add(kid)
    this.#signing = kid
    return kid
  }

  /** The key is published no more; `token(…, { kid })` still signs with it, as its thief would. A new one takes over where it signed. */
  async withdraw(kid = this.#signing): Promise<string> {
    this.#published.delete(kid)
    if (kid === this.#signing) await this.rotate()
    return kid
  }

  /** What a path of the server answers from now on, instead of its own. */
  answer(path: string, how: Answer | object): void {
    this.#answers.set(path, typeof how === 'function' ? (how as Answer) : (_request, response) => sendJson(response, how))
  }

  /** As one that is down (`refuse`), or that takes requests and never answers (`hang`). */
  stopAnswering(how: 'refuse' | 'hang' = 'refuse'): Promise<void> {
    return this.#server.stopAnswering(how)
  }

  /** On the same port. */
  answerAgain(): Promise<void> {
    return this.#server.listen(this.port)
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ''
    const special = this.#answers.get(path)
    if (special) special(request, response)
    else if (path === `${this.#path}${WELL_KNOWN}`) sendJson(response, { issuer: this.issuer, jwks_uri: `${this.issuer}/jwks` })
    else if (path === `${this.#path}/jwks`) sendJson(response, { keys: this.keys })
    else response.writeHead(404).end()
  }
}

function sendJson(response: ServerResponse, document: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
}

const CLIENT = { client_id: 'test-client', client_secret: 'of-the-test' }

/** The package oidc-provider: a certified implementation, which issues JWT access tokens to one client for any resource. */
export class RealProvider {
  readonly #server = new LoopbackServer()

  /** `scopes`: what its client may ask for. */
  static async start({ scopes = ['agents:invoke'] }: { scopes?: readonly string[] } = {}): Promise<RealProvider> {
    const provider = new RealProvider()
    await provider.#server.listen(0)
    await provider.#open(scopes)
    return provider
  }

  private constructor() {}

  get issuer(): string {
    return `https://127.0.0.1:${this.#server.port}`
  }

  get discoveryUrl(): string {
    return `${this.issuer}${WELL_KNOWN}`
  }

  get caFile(): string {
    return this.#server.caFile
  }

  get clientId(): string {
    return CLIENT.client_id
  }

  /** An access token by the client-credentials grant, for the audience `resource` (a URI). */
  async clientToken(scope: string, resource: string): Promise<string> {
    const dispatcher = new Agent({ connect: { ca: readFileSync(this.caFile) } })
    try {
      const answer = await request(`${this.issuer}/token`, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope, resource, ...CLIENT }).toString(),
      })
      const document = (await answer.body.json()) as { access_token?: string }
      if (document.access_token === undefined) throw new Error(`no token was issued: ${JSON.stringify(document)}`)
      return document.access_token
    } finally {
      await dispatcher.close()
    }
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }

  async #open(scopes: readonly string[]): Promise<void> {
    // Only who uses it pays for its 0.5 s.
    const { Provider } = await import('oidc-provider')
    const { privateKey } = await generateKeyPair('RS256', { extractable: true })
    const provider = new Provider(this.issuer, {
      clients: [
        {
          ...CLIENT,
          grant_types: ['client_credentials'],
          redirect_uris: [],
          response_types: [],
          token_endpoint_auth_method: 'client_secret_post',
        },
      ],
      jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'real', alg: 'RS256', use: 'sig' }] },
      scopes,
      ttl: { ClientCredentials: TOKEN_SECONDS },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context: unknown, resource: string) => ({
            scope: scopes.join(' '),
            audience: resource,
            accessTokenFormat: 'jwt',
            accessTokenTTL: TOKEN_SECONDS,
          }),
        },
      },
    })
    this.#server.listener = provider.callback()
  }
}
