/** Adapter: the gateway's HTTP face, on Fastify. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { uuid } from '../env/random.ts'
import type { ArnScope } from '../sessions/runtime-id.ts'
import { ReviewUnavailable } from './auth/answer-cache.ts'
import { AccessEntry, type AccessOptions } from './access-log.ts'
import { Calls, type CallOptions, type CallParts } from './calls.ts'
import { GatewayError } from './errors.ts'
import { refuse, refuseRaw } from './http/answer.ts'
import { Headers, checkOrigin } from './http/headers-in.ts'
import { parseTarget, type Target } from './http/target.ts'
import { LONGEST_HEAD_BYTES, unreadable, type ParserError } from './http/unreadable.ts'
import { DEFAULT_CONNECTIONS_PER_ADDRESS, headDeadline, limitConnections } from './limits/connections.ts'
import type { GatewayMetrics, Operation } from './metrics.ts'
import type { Pools } from './proxy/pools.ts'
import { Views, type ViewParts } from './views.ts'

export interface GatewayOptions extends ArnScope, CallOptions, AccessOptions {
  host: string
  /** 0: any free one. */
  port: number
  /** Host headers that are served; undefined: any. `PORT` is replaced by the port that is listened on. */
  hosts: readonly string[] | undefined
  /** Open connections of one client address; 0: any number. */
  connectionsPerAddress?: number
}

const POLL_MS = 50
const HEADERS_TIMEOUT_MS = 20_000

/** Serves AgentCore's data plane: authenticates each call, routes it by its session id, and streams both ways. */
export class Gateway {
  readonly #env: Env
  readonly #options: GatewayOptions
  readonly #pools: Pools
  readonly #metrics: GatewayMetrics
  readonly #calls: Calls
  readonly #views: Views
  readonly #server: FastifyInstance
  readonly #ending = new AbortController()
  #hosts: ReadonlySet<string> | undefined
  #isReady = false
  #isDraining = false
  #open = 0

  constructor(env: Env, options: GatewayOptions, parts: CallParts & ViewParts) {
    this.#env = env
    this.#options = options
    this.#pools = parts.pools
    this.#metrics = parts.metrics
    this.#calls = new Calls(env, options, parts)
    this.#views = new Views(options, parts)
    this.#server = fastify({
      // One route takes everything: the raw target is parsed by us, before anything decodes it.
      rewriteUrl: () => '/',
      bodyLimit: Number.MAX_SAFE_INTEGER,
      requestTimeout: 0,
      keepAliveTimeout: 72_000,
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      clientErrorHandler: (error, socket) => this.#refuseUnreadable(error as unknown as ParserError, socket),
      http: { ...headDeadline(HEADERS_TIMEOUT_MS), maxHeaderSize: LONGEST_HEAD_BYTES, requireHostHeader: false },
    })
    this.#server.removeAllContentTypeParsers()
    this.#server.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const handler = (request: FastifyRequest, reply: FastifyReply): void => {
      reply.hijack()
      void this.#serve(request.raw, reply.raw)
    }
    this.#server.route({ method: this.#server.supportedMethods, url: '/', handler })
    this.#server.setNotFoundHandler(handler)
    // Who cannot be served is told so before it sends a body; `receive` says 100 Continue.
    this.#server.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#server.server.emit('request', request, response),
    )
    const perAddress = options.connectionsPerAddress ?? DEFAULT_CONNECTIONS_PER_ADDRESS
    limitConnections(this.#server.server, env, { perAddress, observer: parts.metrics })
    void parts.sessions.ready.then(() => (this.#isReady = true))
  }

  /** Calls that are open now. */
  get open(): number {
    return this.#open
  }

  async listen(): Promise<{ port: number }> {
    const { host, port, hosts } = this.#options
    await this.#server.listen({ host, port })
    const bound = this.#server.server.address() as { port: number }
    this.#hosts = hosts && new Set(hosts.map((name) => name.replace('PORT', String(bound.port))))
    return { port: bound.port }
  }

  /** Takes no new calls, lets open ones end for `graceMs`, then breaks them off. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true
    const closed = this.#server.close()
    const deadlineMs = this.#env.clock.monotonic() + graceMs
    while (this.#open > 0 && this.#env.clock.monotonic() < deadlineMs) await sleep(this.#env.clock, POLL_MS)
    this.#ending.abort(new Error('the gateway is stopping'))
    await this.#pools.close()
    this.#server.server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, log, random } = this.#env
    const startedAtMs = clock.monotonic()
    const rawTarget = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/'
    const entry = new AccessEntry(uuid(random), request.method, rawTarget, this.#options)
    this.#open += 1
    this.#metrics.requestBegan()
    let refusal: GatewayError | undefined
    let isBrokenOff = false
    try {
      await this.#answer(request, response, rawTarget, entry)
      await sent(response)
      isBrokenOff = !response.writableFinished
    } catch (error) {
      isBrokenOff = response.headersSent || response.destroyed
      refusal = this.#refusalOf(error, entry.requestId)
      // Who left before it heard anything was told nothing, and its line says so.
      if (response.headersSent || !response.destroyed) refuse(request, response, refusal, entry.requestId)
    } finally {
      this.#open -= 1
      const ms = clock.monotonic() - startedAtMs
      const status = response.headersSent ? response.statusCode : undefined
      this.#metrics.requestEnded({ operation: entry.operation, status, ms })
      log.info(entry.line({ status, complete: !isBrokenOff, errorType: refusal?.type, ms }), 'call')
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, rawTarget: string, entry: AccessEntry): Promise<void> {
    const headers = new Headers(request.rawHeaders)
    checkOrigin(headers, this.#hosts)
    const target = parseTarget(request.method ?? '', rawTarget, this.#options)
    entry.aimedAt(operationOf(target), 'runtimeId' in target ? target : {})
    entry.attemptedAs(headers)
    if (target.kind === 'health') return this.#health(target.probe, response)
    if (this.#isDraining || !this.#isReady) {
      throw new GatewayError(
        'ThrottlingException',
        this.#isDraining ? 'this gateway is stopping: please retry' : 'this gateway is starting: please retry',
        { retryAfterMs: 1_000 },
      )
    }
    const exchange = { request, response, headers, rawTarget, requestId: entry.requestId, entry }
    if (target.kind === 'call') return this.#calls.answer(exchange, target, this.#ending.signal)
    return this.#views.answer(exchange, target)
  }

  #health(probe: 'healthz' | 'readyz', response: ServerResponse): void {
    const ok = probe === 'healthz' || (this.#isReady && !this.#isDraining)
    response.writeHead(ok ? 200 : 503, { 'content-type': 'text/plain' })
    response.end(ok ? 'ok\n' : this.#isDraining ? 'draining\n' : 'starting\n')
  }

  #refuseUnreadable(error: ParserError, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const requestId = uuid(this.#env.random)
    const refusal = unreadable(error)
    refuseRaw(socket, refusal, requestId)
    this.#env.log.info({ requestId, status: refusal.status, errorType: refusal.type, code: error.code }, 'not a request')
  }

  #refusalOf(error: unknown, requestId: string): GatewayError {
    if (error instanceof GatewayError) {
      if (error.status >= 500 || error.cause) this.#env.log.warn({ requestId, err: error }, 'call refused')
      return error
    }
    if (error instanceof ReviewUnavailable) {
      this.#env.log.warn({ requestId, err: error }, 'nobody can say who calls')
      return new GatewayError('ThrottlingException', `${error.message}, so that nobody can say whether you may do this now: please retry`, {
        retryAfterMs: 1_000,
      })
    }
    this.#env.log.error({ requestId, err: error }, 'call failed inside the gateway')
    return new GatewayError('InternalServerException', `the gateway failed on this call; its log says why under request id ${requestId}`)
  }
}

function operationOf(target: Target): Operation {
  if (target.kind === 'call') return target.operation
  return ({ health: 'GetHealth', metadata: 'GetProtectedResource', metrics: 'GetMetrics', activity: 'GetActivity' } as const)[target.kind]
}

/** Resolves when the answer has left this process, or its connection has ended. */
function sent(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) return resolve()
    response.once('finish', resolve).once('close', resolve)
  })
}
