/** Adapter: the gateway's HTTP face, on Fastify. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { uuid } from '../env/random.ts'
import type { ArnScope } from '../sessions/runtime-id.ts'
import type { AccessKeys } from './auth/access-keys.ts'
import { readClaim, verify } from './auth/sigv4.ts'
import { GatewayError, SAFE_HEADERS, notFound } from './errors.ts'
import { refuse, refuseRaw } from './http/answer.ts'
import { Headers, SESSION_HEADER, checkOrigin, sessionIdOf } from './http/headers-in.ts'
import { parseTarget, splitOnce, type RuntimeReference } from './http/target.ts'
import { unreadable, type ParserError } from './http/unreadable.ts'
import { invoke } from './invoke.ts'
import type { Pools } from './proxy/pools.ts'
import { SpoolQuota, type SpoolLimits } from './proxy/quota.ts'
import { DEFAULT_PATIENCE, receive, refuseTooLarge, type Patience } from './proxy/receive.ts'
import type { Caller, RuntimeTarget, Sessions } from './session-port.ts'
import { stop } from './stop.ts'

export interface GatewayOptions extends ArnScope {
  host: string
  /** 0: any free one. */
  port: number
  /** Host headers that are served; undefined: any. `PORT` is replaced by the port that is listened on. */
  hosts: readonly string[] | undefined
  spoolDirectory: string
  spoolLimits: SpoolLimits
  /** For slow senders. */
  patience?: Patience
  /** Whether callers see the log lines of an agent that failed; a right of its own once there are rights. */
  mayReadLogs(owner: Caller['owner']): boolean
}

/** What one line of the access log tells; no secret, and no query. */
interface Entry {
  requestId: string
  method: string | undefined
  path: string
  runtimeId?: string
  endpoint?: string
  user?: string
  sessionId?: string
  bytesIn?: number
  bytesOut?: number
}

const POLL_MS = 50
const HEADERS_TIMEOUT_MS = 20_000

/** Serves AgentCore's data plane: authenticates each call, routes it by its session id, and streams both ways. */
export class Gateway {
  readonly #env: Env
  readonly #options: GatewayOptions
  readonly #sessions: Sessions
  readonly #keys: AccessKeys
  readonly #pools: Pools
  readonly #quota: SpoolQuota
  readonly #server: FastifyInstance
  readonly #ending = new AbortController()
  #hosts: ReadonlySet<string> | undefined
  #isReady = false
  #isDraining = false
  #open = 0

  constructor(env: Env, options: GatewayOptions, sessions: Sessions, keys: AccessKeys, pools: Pools) {
    this.#env = env
    this.#options = options
    this.#sessions = sessions
    this.#keys = keys
    this.#pools = pools
    this.#quota = new SpoolQuota(options.spoolLimits)
    this.#server = fastify({
      // One route takes everything: the raw target is parsed by us, before anything decodes it.
      rewriteUrl: () => '/',
      bodyLimit: Number.MAX_SAFE_INTEGER,
      requestTimeout: 0,
      keepAliveTimeout: 72_000,
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      clientErrorHandler: (error, socket) => this.#refuseUnreadable(error as unknown as ParserError, socket),
      http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: 32 * 1024, requireHostHeader: false },
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
    void sessions.ready.then(() => (this.#isReady = true))
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
    const requestId = uuid(this.#env.random)
    const startedAtMs = this.#env.clock.monotonic()
    const rawTarget = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/'
    const entry: Entry = { requestId, method: request.method, path: splitOnce(rawTarget, '?')[0].slice(0, 512) }
    this.#open += 1
    try {
      await this.#answer(request, response, rawTarget, entry)
      await sent(response)
    } catch (error) {
      refuse(request, response, this.#refusalOf(error, requestId), requestId)
    } finally {
      this.#open -= 1
      const ms = Math.round(this.#env.clock.monotonic() - startedAtMs)
      this.#env.log.info({ ...entry, status: response.statusCode, errorType: response.getHeader('x-amzn-errortype'), ms }, 'call')
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, rawTarget: string, entry: Entry): Promise<void> {
    const headers = new Headers(request.rawHeaders)
    checkOrigin(headers, this.#hosts)
    const target = parseTarget(request.method ?? '', rawTarget, this.#options)
    if (target.kind === 'health') return this.#health(target.probe, response)
    const { requestId } = entry
    entry.runtimeId = target.runtimeId
    entry.endpoint = target.endpoint
    if (this.#isDraining || !this.#isReady) {
      throw new GatewayError(
        'ThrottlingException',
        this.#isDraining ? 'this gateway is stopping: please retry' : 'this gateway is starting: please retry',
        { retryAfterMs: 1_000 },
      )
    }
    const [rawPath, rawQuery] = splitOnce(rawTarget, '?')
    const claim = readClaim(headers, rawQuery, this.#keys, this.#options, this.#env.clock.now())
    refuseTooLarge(request)
    const sessionId = sessionIdOf(headers)
    if (headers.one('expect')?.toLowerCase() === '100-continue') response.writeContinue()

    const address = request.socket.remoteAddress ?? ''
    const spooling = { directory: this.#options.spoolDirectory, quota: this.#quota, accessKeyId: claim.key.accessKeyId, address }
    const body = await receive(request, spooling, this.#options.patience ?? DEFAULT_PATIENCE)
    entry.bytesIn = body.bytes
    try {
      const owner = verify(claim, { method: request.method!, rawPath, rawQuery, headers, bodySha256: body.sha256 }, this.#options)
      entry.user = owner.subject
      const caller = { owner, mayReadLogs: this.#options.mayReadLogs(owner) }
      const runtime = this.#findRuntime(target)
      if (target.operation === 'StopRuntimeSession') {
        const stopped = await stop(runtime, caller, sessionId, body, this.#sessions)
        response.writeHead(200, {
          ...SAFE_HEADERS,
          'content-type': 'application/json',
          [SESSION_HEADER]: stopped,
          'x-amzn-requestid': requestId,
        })
        return void response.end('{}')
      }
      const id = sessionId ?? uuid(this.#env.random)
      entry.sessionId = id
      const { bytes } = await invoke(
        { target: runtime, caller, sessionId: id, requestId, headers, body, response },
        this.#sessions,
        this.#pools,
        this.#ending.signal,
      )
      entry.bytesOut = bytes
    } finally {
      await body.discard()
    }
  }

  #findRuntime({ runtimeId, endpoint }: RuntimeReference): RuntimeTarget {
    const found = this.#sessions.findRuntime({ runtimeId }, endpoint)
    if (found === undefined) throw notFound(`there is no agent runtime ${runtimeId}: kubectl get agentruntimes -A -o wide shows the ARNs`)
    if (found === 'NoSuchEndpoint') throw notFound(`the agent runtime ${runtimeId} has no endpoint ${endpoint}`)
    return found
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
    this.#env.log.error({ requestId, err: error }, 'call failed inside the gateway')
    return new GatewayError('InternalServerException', `the gateway failed on this call; its log says why under request id ${requestId}`)
  }
}

/** Resolves when the answer has left this process, or its connection has ended. */
function sent(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) return resolve()
    response.once('finish', resolve).once('close', resolve)
  })
}
