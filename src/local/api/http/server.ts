/**
 * Adapter: the embedded API over HTTPS on loopback, for unmodified kubectl and for processes of their own.
 *
 * The order is fixed: addressed to us, no web page (403), who calls (401), a body that we read (413, 415, 400), a
 * representation that we have (406), and only then discovery, OpenAPI or the API itself. /healthz, /livez, /readyz and
 * /version need no token, as on a real server. Everything else is in the audit log, refusals too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Env } from '../../../env/env.ts'
import { TransportError } from '../../../kube/errors.ts'
import { KEYS_PATH } from '../accounts/issuer.ts'
import { holderOf, type KnownTokens } from '../accounts/known-tokens.ts'
import type { ApiCall, Identity } from '../call.ts'
import { beginAudit, completing } from '../audit/audit.ts'
import type { ApiHandler, AuditSink, AuditTrail, AuditedRequest } from '../audit/audit.ts'
import { discover } from '../discovery.ts'
import { OpenApi } from '../openapi/openapi.ts'
import type { Asked } from '../rbac/impersonation.ts'
import type { ServedKind } from '../served-kinds.ts'
import { Refusal, failure, methodNotAllowed } from '../statuses.ts'
import { writeAnswer, writeJson, writeText } from './answer.ts'
import { readBody } from './body.ts'
import type { Certificate } from './certificate.ts'
import { bearerOf, impersonationIn, misdirection, unauthorized } from './guard.ts'
import { negotiate } from './media-types.ts'
import { represent } from './representation.ts'
import { VERSION_INFO } from './version.ts'

/** The API, as far as the shell knows it. */
export interface ServedApi extends ApiHandler {
  /** Told once, when the shell listens: where, and whose tokens it takes. */
  served?(shell: { url: string; tokens: KnownTokens }): void
  /** Whose token it is, of those that the API itself has issued. */
  identify?(token: string): Identity | undefined
  /** The identity that a caller may act as; throws a Refusal. */
  impersonate?(caller: Identity, asked: Asked): Identity
}

export interface ServeOptions {
  api: ServedApi
  /** For discovery, OpenAPI and tables; the API itself knows its own. */
  kinds: readonly ServedKind[]
  host: '127.0.0.1'
  /** 0: any free port. */
  port: number
  certificate: Certificate
  tokens: KnownTokens
  audit: AuditSink
  /** For /readyz: what is still missing, or undefined when ready. */
  notReady: () => string | undefined
}

export interface ApiServer {
  /** `https://127.0.0.1:8701`. */
  url: string
  port: number
  /** Ends watches cleanly, lets short answers finish, breaks what is left; resolves within a second. */
  close(): Promise<void>
}

const CLOSE_GRACE_MS = 500

/** Rejects when the port is taken (EADDRINUSE). */
export async function serveApi(env: Env, options: ServeOptions): Promise<ApiServer> {
  const closing = new AbortController()
  const shell = new Shell(env, options, closing.signal)
  const server = createServer({ cert: options.certificate.cert, key: options.certificate.key, keepAliveTimeout: 65_000 })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => void shell.serve(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, exclusive: true }, resolve)
  })
  const { port } = server.address() as AddressInfo
  shell.port = port
  const url = `https://${options.host}:${port}`
  options.api.served?.({ url, tokens: options.tokens })
  return {
    url,
    port,
    close: () =>
      new Promise((resolve) => {
        const timer = env.clock.after(CLOSE_GRACE_MS, () => sockets.forEach((socket) => socket.destroy()))
        server.close(() => {
          timer.cancel()
          resolve()
        })
        closing.abort()
        server.closeIdleConnections()
      }),
  }
}

class Shell {
  readonly #env: Env
  readonly #options: ServeOptions
  readonly #closing: AbortSignal
  readonly #openApi: OpenApi
  /** Known once the server listens. */
  port = 0

  constructor(env: Env, options: ServeOptions, closing: AbortSignal) {
    this.#env = env
    this.#options = options
    this.#closing = closing
    this.#openApi = new OpenApi(options.kinds)
  }

  /** Never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? ''
    const misdirected = misdirection(target, request.rawHeaders, this.port)
    const { path, query } = targetOf(target)
    if (misdirected === undefined && this.#answersAnyone(request, path, response)) return
    const audited: AuditedRequest = { method: request.method ?? '', path, query }
    const trail = beginAudit(this.#env, this.#options.audit, audited, {
      sourceIPs: [request.socket.remoteAddress ?? ''],
      userAgent: request.headers['user-agent'] ?? '',
    })
    try {
      const refusal = misdirected ?? (await this.#answer(request, response, audited, trail))
      if (refusal !== undefined) refuse(response, refusal, trail)
    } catch (error) {
      this.#fail(request, response, error as Error, trail)
    }
  }

  #answersAnyone(request: IncomingMessage, path: string, response: ServerResponse): boolean {
    if (request.method !== 'GET') return false
    if (path === '/version') writeJson(response, 200, VERSION_INFO)
    else if (path === '/healthz' || path === '/livez') writeText(response, 200, 'ok')
    else if (path === '/readyz') this.#writeReadiness(response)
    else return false
    return true
  }

  #writeReadiness(response: ServerResponse): void {
    const missing = this.#closing.aborted ? 'shutting down' : this.#options.notReady()
    writeText(response, missing === undefined ? 200 : 503, missing === undefined ? 'ok' : `not ready: ${missing}\n`)
  }

  /** Writes the answer, or says why there is none. */
  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    audited: AuditedRequest,
    trail: AuditTrail,
  ): Promise<Refusal | undefined> {
    const caller = this.#callerOf(request)
    if (caller === undefined) return unauthorized()
    audited.user = caller
    const identity = this.#actingAs(caller, request)
    if (identity instanceof Refusal) return identity
    if (identity !== caller) audited.impersonatedUser = identity
    const method = METHODS.find((known) => known === request.method)
    if (method === undefined) return methodNotAllowed()
    const read = await readBody(request)
    if ('refused' in read) return read.refused
    audited.body = read.body

    const found = await this.#describe(method, audited.path, request.headers.accept)
    if (found !== undefined) {
      trail.complete(200)
      writeJson(response, 200, found.body, { 'content-type': found.contentType, 'audit-id': trail.auditId })
      return undefined
    }
    const representation = audited.path === KEYS_PATH ? 'json' : negotiate(request.headers.accept) // keys have a type of their own
    if (representation === undefined) return notAcceptable()
    const gone = goneWith(response, this.#closing)
    const call: ApiCall = { identity, method, path: audited.path, query: audited.query, ...read, signal: gone }
    if (request.headers.accept !== undefined) call.accept = request.headers.accept
    const answer = completing(await this.#options.api.handle(call), trail)
    const shown = represent(answer, representation, call, this.#options.kinds, () => this.#env.clock.now())
    await writeAnswer(response, shown, { 'audit-id': trail.auditId }, gone)
    return undefined
  }

  #callerOf(request: IncomingMessage): Identity | undefined {
    const { api, tokens } = this.#options
    const bearer = bearerOf(request.rawHeaders)
    return bearer === undefined ? undefined : (holderOf(bearer, tokens) ?? api.identify?.(bearer))
  }

  /** Never the caller where it asked to be taken for another. */
  #actingAs(caller: Identity, request: IncomingMessage): Identity | Refusal {
    const asked = impersonationIn(request.rawHeaders)
    if (asked === undefined) return caller
    try {
      return this.#options.api.impersonate?.(caller, asked) ?? unauthorized()
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
  }

  /** Discovery and OpenAPI: any caller with a token may read them. */
  async #describe(method: string, path: string, accept: string | undefined): Promise<{ body: object; contentType: string } | undefined> {
    if (method !== 'GET') return undefined
    const body = path.startsWith('/openapi/') && negotiate(accept) === 'json' ? await this.#openApi.answer(path) : undefined
    return body === undefined ? discover(path, accept, this.#options.kinds) : { body, contentType: 'application/json' }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: Error, trail: AuditTrail): void {
    trail.complete(500)
    if (response.destroyed) return
    if (error instanceof TransportError) return void request.socket.destroySoon() // a fault knob cuts, after what was written
    this.#env.log.error({ error: error.stack ?? error.message }, 'the API server could not answer a request')
    if (response.headersSent) response.destroy()
    else refuse(response, new Refusal(500, 'InternalError', `Internal error occurred: ${error.message}`), trail)
  }
}

const METHODS: readonly ApiCall['method'][] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

function notAcceptable(): Refusal {
  const message = 'only the following media types are accepted: application/json, also as Table or PartialObjectMetadata of meta.k8s.io/v1'
  return new Refusal(406, 'NotAcceptable', message)
}

function refuse(response: ServerResponse, refusal: Refusal, trail: AuditTrail): void {
  const { code, headers, reason, message, details } = refusal
  const body = failure(code, reason, message, details)
  trail.complete(code, body)
  writeJson(response, code, body, { 'audit-id': trail.auditId, ...headers })
}

/** Split by hand: the URL parser would fold `..` and decode. */
function targetOf(target: string): { path: string; query: URLSearchParams } {
  const at = target.indexOf('?')
  return { path: at < 0 ? target : target.slice(0, at), query: new URLSearchParams(at < 0 ? '' : target.slice(at + 1)) }
}

/** Aborts when the client is gone or the server closes. */
function goneWith(response: ServerResponse, closing: AbortSignal): AbortSignal {
  const gone = new AbortController()
  const abort = (): void => gone.abort()
  response.once('close', () => {
    closing.removeEventListener('abort', abort)
    abort()
  })
  if (closing.aborted) abort()
  else closing.addEventListener('abort', abort, { once: true })
  return gone.signal
}
