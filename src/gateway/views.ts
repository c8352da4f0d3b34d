/** Adapter: what this gateway tells of itself and of its sessions, and to whom. */
import type { ServerResponse } from 'node:http'
import { protectedResource } from '../oidc/protected-resource.ts'
import type { Authenticator } from './auth/authenticate.ts'
import { demand } from './auth/authorize.ts'
import { resourceUrl } from './auth/challenge.ts'
import type { Rights } from './auth/rights.ts'
import { presentedIn, type Exchange } from './calls.ts'
import { SAFE_HEADERS, notFound } from './errors.ts'
import type { Target } from './http/target.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { Sessions } from './session-port.ts'

/** Of an empty body: a view has none. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

export interface ViewParts {
  sessions: Sessions
  authenticator: Authenticator
  rights: Rights
  metrics: Pick<GatewayMetrics, 'exposition'>
  /** Of one namespace, or of all. */
  activity(namespace: string | undefined): Promise<unknown>
}

type View = Exclude<Target, { kind: 'call' | 'health' }>

export class Views {
  readonly #options: { publicUrl?: string | undefined }
  readonly #parts: ViewParts

  constructor(options: { publicUrl?: string | undefined }, parts: ViewParts) {
    this.#options = options
    this.#parts = parts
  }

  async answer(exchange: Exchange, view: View): Promise<void> {
    const { response } = exchange
    switch (view.kind) {
      case 'metadata':
        return this.#metadata(view, exchange)
      case 'metrics': {
        await this.#demand(exchange, { path: '/metrics', verb: 'get' }, 'read the metrics: it takes get on the path /metrics')
        const { contentType, text } = await this.#parts.metrics.exposition()
        return send(response, contentType, text)
      }
      case 'activity': {
        const asked = { group: 'carrel.dev', resource: 'agentsessions', verb: 'list', namespace: view.namespace ?? '' }
        await this.#demand(exchange, asked, 'see which sessions are in use: it takes list on agentsessions')
        return send(response, 'application/json', JSON.stringify(await this.#parts.activity(view.namespace)))
      }
    }
  }

  /** For everybody: it says where tokens come from (RFC 9728). */
  #metadata(reference: Extract<View, { kind: 'metadata' }>, { headers, response }: Exchange): void {
    const found = this.#parts.sessions.findRuntime(reference, reference.endpoint)
    const customJWT = typeof found === 'object' ? found.policy.authorizer?.customJWT : undefined
    if (customJWT === undefined) throw notFound('no agent runtime here of this ARN and qualifier takes bearer tokens')
    const resource = resourceUrl(this.#options, headers, reference) ?? ''
    send(response, 'application/json', JSON.stringify(protectedResource(resource, customJWT)))
  }

  async #demand(exchange: Exchange, asked: Parameters<typeof demand>[1], what: string): Promise<void> {
    const authentication = await this.#parts.authenticator.beginOfCluster(presentedIn(exchange))
    const identity = 'identity' in authentication ? authentication.identity : authentication.finish(EMPTY_SHA256)
    exchange.entry.calledBy(identity.method, identity.owner, identity.user)
    await demand(identity, asked, what, this.#parts.rights)
  }
}

function send(response: ServerResponse, contentType: string, text: string): void {
  response.writeHead(200, { ...SAFE_HEADERS, 'content-type': contentType, 'cache-control': 'no-store' })
  response.end(text)
}
