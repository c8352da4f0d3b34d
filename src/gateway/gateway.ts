/** Adapter: the gateway's HTTP face, on Fastify. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fastify, type FastifyInstance } from 'fastify'
import { sleep } from '../env/clock.ts'
import { uuid } from '../env/random.ts'
import type { ArnScope } from '../sessions/runtime-id.ts'
import type { AccessKeys } from './auth/access-keys.ts'
import { readClaim, verify } from './auth/sigv4.ts'
import type { GatewayEnv } from './env.ts'
import { GatewayError, SAFE_HEADERS, notFound, validation } from './errors.ts'
import { refuse } from './http/answer.ts'
import { Headers, SESSION_HEADER, checkOrigin, sessionIdOf } from './http/headers-in.ts'
import { parseTarget, splitOnce, type RuntimeReference } from './http/target.ts'
import { invoke } from './invoke.ts'
import type { Pools } from './proxy/pools.ts'
import { SpoolQuota, type SpoolLimits } from './proxy/quota.ts'
import { receive, refuseTooLarge, type Body } from './proxy/spool.ts'
import type { Caller, RuntimeTarget, Sessions } from './session-port.ts'

export interface GatewayOptions extends ArnScope {
  host: string
  /** 0: any free one. */
  port: number
  /** Host headers that are served; undefined: any. `PORT` is replaced by the port that is listened on. */
  hosts: readonly string[] | undefined
  spoolDirectory: string
  spoolLimits: SpoolLimits
  /** Whether callers see the log lines of an agent that failed; a right of its own once there are rights. */
  mayReadLogs(owner: Caller['owner']): boolean
}

const POLL_MS = 50
const HEADERS_TIMEOUT_MS = 20_000

/** Serves AgentCore's data plane: authenticates each call, routes it by its session id, and streams both ways. */
export class Gateway {
  readonly #env: GatewayEnv
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

  constructor(env: GatewayEnv, options: GatewayOptions, sessions: Sessions, keys: AccessKeys, pools: Pools) {
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
      http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: 32 * 1024, requireHostHeader: false },
    })
    this.#server.removeAllContentTypeParsers()
    this.#server.addContentTypeParser('*', (_request, _payload, done) => done(null))
    this.#server.route({
      method: this.#server.supportedMethods,
      url: '/',
      handler: (request, reply) => {
        reply.hijack()
        void this.#serve(request.raw, reply.raw)
      },
    })
    // Who cannot be served is told so before it sends a body; `receive` says 100 Continue.
    this.#server.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => this.#server.server.emit('request', request, response))
    void sessions.synced.then(() => (this.#isReady = true))
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
    const entry = { requestId, method: request.method, path: splitOnce(rawTarget, '?')[0].slice(0, 512) }
    this.#open += 1
    try {
      await this.#answer(request, response, rawTarget, requestId)
    } catch (error) {
      refuse(request, response, this.#refusalOf(error, requestId), requestId)
    } finally {
      this.#open -= 1
      const ms = Math.round(this.#env.clock.monotonic() - startedAtMs)
      this.#env.log.info({ ...entry, status: response.statusCode, errorType: response.getHeader('x-amzn-errortype'), ms }, 'call')
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, rawTarget: string, requestId: string): Promise<void> {
    const headers = new Headers(request.rawHeaders)
    checkOrigin(headers, this.#hosts)
    const target = parseTarget(request.method ?? '', rawTarget, this.#options)
    if (target.kind === 'health') return this.#health(target.probe, response)
    if (this.#isDraining || !this.#isReady) {
      throw new GatewayError('ThrottlingException', this.#isDraining ? 'this gateway is stopping: please retry' : 'this gateway is starting: please retry', { retryAfterMs: 1_000 })
    }
    const [rawPath, rawQuery] = splitOnce(rawTarget, '?')
    const claim = readClaim(headers, rawQuery, this.#keys, this.#options, this.#env.clock.now())
    refuseTooLarge(request)
    const sessionId = sessionIdOf(headers)
    if (headers.one('expect')?.toLowerCase() === '100-continue') response.writeContinue()

    const body = await receive(request, {
      directory: this.#options.spoolDirectory,
      quota: this.#quota,
      accessKeyId: claim.key.accessKeyId,
      address: request.socket.remoteAddress ?? '',
    })
    try {
      const owner = verify(claim, { method: request.method!, rawPath, rawQuery, headers, bodySha256: body.sha256 }, this.#options)
      const caller = { owner, mayReadLogs: this.#options.mayReadLogs(owner) }
      const runtime = this.#findRuntime(target)
      if (target.operation === 'StopRuntimeSession') return await this.#stop(runtime, caller, sessionId, body, response, requestId)
      const id = sessionId ?? uuid(this.#env.random)
      await invoke({ target: runtime, caller, sessionId: id, requestId, headers, body, response }, this.#sessions, this.#pools, this.#ending.signal)
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

  async #stop(target: RuntimeTarget, caller: Caller, sessionId: string | undefined, body: Body, response: ServerResponse, requestId: string): Promise<void> {
    if (sessionId === undefined) throw validation('runtimeSessionId', `name the session to stop in the header ${SESSION_HEADER}`)
    const stopped = await this.#sessions.stop(target, caller, sessionId, await clientTokenOf(body))
    if (stopped === 'unknown') throw notFound(`there is no live session ${sessionId} of yours on ${target.runtimeId}`)
    response.writeHead(200, { ...SAFE_HEADERS, 'content-type': 'application/json', [SESSION_HEADER]: sessionId, 'x-amzn-requestid': requestId })
    response.end('{}')
  }

  #health(probe: 'healthz' | 'readyz', response: ServerResponse): void {
    const ok = probe === 'healthz' || (this.#isReady && !this.#isDraining)
    response.writeHead(ok ? 200 : 503, { 'content-type': 'text/plain' })
    response.end(ok ? 'ok\n' : this.#isDraining ? 'draining\n' : 'starting\n')
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

const LONGEST_STOP_BODY_BYTES = 16_384

async function clientTokenOf(body: Body): Promise<string | undefined> {
  if (body.bytes === 0) return undefined
  if (body.bytes > LONGEST_STOP_BODY_BYTES) throw validation('clientToken', 'the body of a stop is a small JSON object')
  try {
    const { clientToken } = JSON.parse((body.stream() as Buffer).toString('utf8')) as { clientToken?: unknown }
    if (clientToken === undefined || (typeof clientToken === 'string' && clientToken.length <= 256)) return clientToken
  } catch {
    // said below
  }
  throw validation('clientToken', 'the body of a stop is JSON, {"clientToken": "…"} or empty')
}
