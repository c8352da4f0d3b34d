/** Adapter: one call of an agent, from its head to its last byte: who calls, may it, which session, and the bytes. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Env } from '../env/env.ts'
import { uuid } from '../env/random.ts'
import type { AccessEntry } from './access-log.ts'
import { ReviewUnavailable } from './auth/answer-cache.ts'
import type { Authenticator, Identity, Presented } from './auth/authenticate.ts'
import { authorize, type Permitted } from './auth/authorize.ts'
import { schemeIn } from './auth/bearer.ts'
import { metadataUrl } from './auth/challenge.ts'
import type { Rights } from './auth/rights.ts'
import { GatewayError, SAFE_HEADERS } from './errors.ts'
import { SESSION_HEADER, sessionIdOf, type Headers } from './http/headers-in.ts'
import { splitOnce, type Target } from './http/target.ts'
import { invoke } from './invoke.ts'
import type { Limits } from './limits/limits.ts'
import type { Authentication, GatewayMetrics } from './metrics.ts'
import { Flow } from './proxy/flow.ts'
import type { Pools } from './proxy/pools.ts'
import { SpoolQuota, type SpoolLimits } from './proxy/quota.ts'
import { DEFAULT_PATIENCE, receive, refuseTooLarge, type Patience } from './proxy/receive.ts'
import type { Body, Payload } from './proxy/spool.ts'
import type { RuntimeTarget, Sessions } from './session-port.ts'
import { stop } from './stop.ts'

export interface CallOptions {
  spoolDirectory: string
  spoolLimits: SpoolLimits
  /** For slow senders. */
  patience?: Patience
  /** Where callers reach this gateway; without it, what their Host header says, by http. */
  publicUrl?: string | undefined
}

export interface CallParts {
  sessions: Sessions
  authenticator: Authenticator
  rights: Rights
  pools: Pools
  limits: Pick<Limits, 'call'>
  metrics: GatewayMetrics
}

type CallTarget = Extract<Target, { kind: 'call' }>

/** One request. `entry` is what its line of the access log will say. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  headers: Headers
  rawTarget: string
  requestId: string
  entry: AccessEntry
}

/** Nobody can be asked who the caller is; a session that is open could be used, but this one is not. */
const RETRY_AFTER_MS = 1_000

export class Calls {
  readonly #env: Env
  readonly #options: CallOptions
  readonly #parts: CallParts
  readonly #quota: SpoolQuota

  constructor(env: Env, options: CallOptions, parts: CallParts) {
    this.#env = env
    this.#options = options
    this.#parts = parts
    this.#quota = new SpoolQuota(options.spoolLimits, parts.metrics)
    parts.metrics.readsFrom({ spooled: this.#quota, upstream: parts.pools })
  }

  /** Throws GatewayError for all that the caller has to be told. `ending` aborts calls that the gateway's end breaks off. */
  async answer(exchange: Exchange, target: CallTarget, ending: AbortSignal): Promise<void> {
    const { headers, entry } = exchange
    const { sessions, limits } = this.#parts
    const found = this.#find(target)
    const { identity, payload } = await this.#identified(exchange, target, found.judge)
    try {
      entry.calledBy(identity.method, identity.owner, identity.user)
      const permitted = await this.#permitted(identity, target, found, headers)
      const { caller } = permitted
      entry.calledBy(identity.method, caller.owner, identity.user)
      limits.call(permitted.target.runtime, caller.owner)
      const sessionId = sessionIdOf(headers)
      entry.sessionId = sessionId
      if (target.operation === 'StopRuntimeSession') return await this.#stop(exchange, permitted, sessionId, payload)
      const id = sessionId ?? uuid(this.#env.random)
      entry.sessionId = id
      if (permitted.stale && !sessions.isLive(permitted.target, caller, id)) throw unavailable()
      await this.#invoke(exchange, permitted, id, payload ?? this.#flow(exchange), ending)
    } finally {
      await payload?.discard()
    }
  }

  /** Whose policy judges: of an endpoint that is not there, DEFAULT's, so that only who may call the runtime learns that. */
  #find({ runtimeId, endpoint }: CallTarget): { judge: RuntimeTarget | undefined; target: RuntimeTarget | undefined } {
    const { sessions } = this.#parts
    const found = sessions.findRuntime({ runtimeId }, endpoint)
    if (found !== 'NoSuchEndpoint') return { judge: found, target: found }
    const other = sessions.findRuntime({ runtimeId }, 'DEFAULT')
    return { judge: other === 'NoSuchEndpoint' ? undefined : other, target: undefined }
  }

  async #identified(
    exchange: Exchange,
    target: CallTarget,
    judge: RuntimeTarget | undefined,
  ): Promise<{ identity: Identity; payload: Payload | undefined }> {
    const { request, headers } = exchange
    try {
      const presented = presentedIn(exchange, metadataUrl(this.#options, headers, target))
      const authentication = await this.#parts.authenticator.begin(presented, judge)
      refuseTooLarge(request)
      sessionIdOf(headers) // a malformed one is refused before a body is read
      if ('identity' in authentication) return { identity: authentication.identity, payload: undefined }
      return await this.#signed(exchange, authentication)
    } catch (error) {
      this.#countRefusal(error, presentedAs(headers, judge), 'credentials')
      throw error
    }
  }

  #countRefusal(error: unknown, method: Authentication, reason: 'credentials' | 'rights'): void {
    const { metrics } = this.#parts
    if (error instanceof ReviewUnavailable) return metrics.authenticationFailed(method, 'unavailable')
    const isRefusal = error instanceof GatewayError && (error.status === 401 || error.status === 403)
    if (isRefusal) metrics.authenticationFailed(method, reason)
    else if (method === 'jwt' && error instanceof GatewayError && error.status === 500) metrics.authenticationFailed(method, 'unavailable')
  }

  /** No byte goes anywhere before the signature over all of them was verified (security rule 7). */
  async #signed(
    exchange: Exchange,
    { accessKeyId, finish }: { accessKeyId: string; finish: (bodySha256: string) => Identity },
  ): Promise<{ identity: Identity; payload: Payload }> {
    const payload = await this.#receive(exchange, accessKeyId)
    exchange.entry.bytesIn = payload.bytes
    try {
      return { identity: finish(payload.sha256), payload }
    } catch (error) {
      await payload.discard()
      throw error
    }
  }

  /** The body whole; `key`: whose share of the spool it takes. */
  #receive(exchange: Exchange, key: string): Promise<Body> {
    sayContinue(exchange)
    const { request } = exchange
    const address = request.socket.remoteAddress ?? ''
    const spooling = { directory: this.#options.spoolDirectory, quota: this.#quota, accessKeyId: key, address }
    return receive(request, spooling, this.#options.patience ?? DEFAULT_PATIENCE)
  }

  #flow(exchange: Exchange): Payload {
    sayContinue(exchange)
    return new Flow(exchange.request, this.#options.patience ?? DEFAULT_PATIENCE)
  }

  async #permitted(
    identity: Identity,
    reference: CallTarget,
    found: { judge: RuntimeTarget | undefined; target: RuntimeTarget | undefined },
    headers: Headers,
  ): Promise<Permitted> {
    const right = reference.operation === 'StopRuntimeSession' ? 'stop' : 'invocations'
    const { rights, sessions } = this.#parts
    const named = { runtime: found.judge?.runtime, target: found.target }
    try {
      return await authorize(identity, { reference, right, headers }, named, { rights, namespaces: () => sessions.namespaces() })
    } catch (error) {
      this.#countRefusal(error, identity.method, 'rights')
      throw error
    }
  }

  async #stop(exchange: Exchange, { target, caller, stale }: Permitted, sessionId: string | undefined, payload?: Payload): Promise<void> {
    if (stale) throw unavailable()
    const { response, requestId } = exchange
    const body = payload ?? (await this.#receive(exchange, caller.owner.subject))
    try {
      const stopped = await stop(target, caller, sessionId, body, this.#parts.sessions)
      const head = { 'content-type': 'application/json', [SESSION_HEADER]: stopped, 'x-amzn-requestid': requestId }
      response.writeHead(200, { ...SAFE_HEADERS, ...head })
      response.end('{}')
    } finally {
      await body.discard()
    }
  }

  async #invoke(exchange: Exchange, { target, caller }: Permitted, sessionId: string, body: Payload, ending: AbortSignal): Promise<void> {
    const { headers, response, requestId, entry } = exchange
    const { sessions, pools } = this.#parts
    const { clock } = this.#env
    const askedAtMs = clock.monotonic()
    const onEntered = (): void => void (entry.waitedMs ??= clock.monotonic() - askedAtMs)
    try {
      const { bytes } = await invoke({ target, caller, sessionId, requestId, headers, body, response, onEntered }, sessions, pools, ending)
      entry.bytesOut = bytes
    } finally {
      entry.bytesIn = body.bytes
      await body.discard()
    }
  }
}

/** What was tried; a bearer that nobody has recognised is the cluster's only where no other is taken. */
function presentedAs(headers: Headers, judge: RuntimeTarget | undefined): Authentication {
  const scheme = schemeIn(headers.all('authorization')[0])
  if (scheme === 'none') return 'none'
  if (scheme !== 'bearer') return 'sigv4'
  return judge?.policy.authorizer?.customJWT ? 'jwt' : 'serviceaccount'
}

/** Who cannot be served is told so before it sends a body. */
function sayContinue({ headers, response }: Exchange): void {
  if (headers.one('expect')?.toLowerCase() === '100-continue') response.writeContinue()
}

export function presentedIn({ request, headers, rawTarget }: Exchange, metadata?: string): Presented {
  const [rawPath, rawQuery] = splitOnce(rawTarget, '?')
  return { method: request.method!, rawPath, rawQuery, headers, metadataUrl: metadata }
}

function unavailable(): GatewayError {
  return new GatewayError(
    'ThrottlingException',
    'the Kubernetes API is out of reach, so that nobody can say whether you may do this now: please retry',
    {
      retryAfterMs: RETRY_AFTER_MS,
    },
  )
}
