/** Adapter: a Kubernetes API server over HTTP(S), by undici. */
import { Agent, request as send, type Dispatcher } from 'undici'
import { ApiError, TransportError } from './errors.ts'
import type { ApiRequest, ApiResponse, Transport, WatchEvent, WatchRequest } from './transport.ts'

/** Where a cluster is and how to prove who one is; `credentials.ts` reads it from a kubeconfig or a pod's files. */
export interface ClusterAccess {
  server: string
  /** Asked before each request; may re-read a file. `fresh` after a 401. */
  token?: (fresh?: boolean) => string | undefined
  ca?: string
  cert?: string
  key?: string
}

const REQUEST_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_MS = 10_000
/** One object is a few MiB at most; a line that goes on and on would fill the memory. */
const LONGEST_LINE_BYTES = 16 * 1024 * 1024

/**
 * Watches have connections of their own, so that a burst of them never holds a write back (and HTTP/2 stays off, or they
 * would share one). A 401 re-reads the token once.
 */
export function httpTransport(cluster: ClusterAccess): Transport & { close(): Promise<void> } {
  const connect = { ca: cluster.ca, cert: cluster.cert, key: cluster.key, timeout: CONNECT_TIMEOUT_MS }
  const requests = new Agent({ connect, allowH2: false, connections: 64, keepAliveTimeout: 10_000 })
  const watches = new Agent({ connect, allowH2: false, headersTimeout: REQUEST_TIMEOUT_MS, bodyTimeout: 0 })
  const base = cluster.server.replace(/\/$/, '')

  function headersFor(fresh: boolean, extra: Record<string, string> = {}): Record<string, string> {
    const token = cluster.token?.(fresh)
    return { accept: 'application/json', 'user-agent': 'carrel', ...(token ? { authorization: `Bearer ${token}` } : {}), ...extra }
  }

  function urlOf(path: string, query: Record<string, string> = {}): string {
    const search = new URLSearchParams(query).toString()
    return `${base}${path}${search ? `?${search}` : ''}`
  }

  async function attempt(request: ApiRequest, fresh: boolean): Promise<ApiResponse> {
    const late = AbortSignal.timeout(Math.ceil(request.timeoutMs ?? REQUEST_TIMEOUT_MS))
    const signal = request.signal ? AbortSignal.any([late, request.signal]) : late
    const body = request.body === undefined ? undefined : JSON.stringify(request.body)
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }
    try {
      const sending = send(urlOf(request.path, request.query), {
        method: request.method,
        dispatcher: requests,
        headers: headersFor(fresh, type),
        body: body ?? null,
        signal,
      })
      const response = await unlessAborted(sending, signal)
      return { status: response.statusCode, headers: flat(response.headers), body: parsed(response.headers, await response.body.text()) }
    } catch (error) {
      throw new TransportError(`${request.method} ${request.path}: ${(error as Error).message}`, { cause: error })
    }
  }

  async function openWatch(request: WatchRequest, fresh: boolean): Promise<Dispatcher.ResponseData> {
    try {
      const { signal = new AbortController().signal } = request
      const sending = send(urlOf(request.path, request.query), { dispatcher: watches, headers: headersFor(fresh), signal })
      return await unlessAborted(sending, signal)
    } catch (error) {
      throw new TransportError(`watch ${request.path}: ${(error as Error).message}`, { cause: error })
    }
  }

  async function* watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    if (request.signal?.aborted) return
    let response = await abortable(openWatch(request, false), request.signal)
    if (response?.statusCode === 401) {
      await response.body.dump()
      response = await abortable(openWatch(request, true), request.signal)
    }
    if (response === undefined) return
    if (response.statusCode !== 200) {
      const body = parsed(response.headers, await textOf(response, request))
      throw ApiError.from({ status: response.statusCode, headers: flat(response.headers), body }, `watch ${request.path}`)
    }
    yield* events(response.body, request)
  }

  return {
    async request(request) {
      const response = await attempt(request, false)
      return response.status === 401 && cluster.token ? attempt(request, true) : response
    },
    watch,
    close: async () => void (await Promise.all([requests.destroy(), watches.destroy()])),
  }
}

/** While it connects, undici heeds no signal: behind a host that vanished, a deadline of a second would be one of ten. */
async function unlessAborted<Value>(sending: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason as Error)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([sending, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** The whole text of a refusal. */
async function textOf(response: Dispatcher.ResponseData, request: WatchRequest): Promise<string> {
  try {
    return await response.body.text()
  } catch (error) {
    throw new TransportError(`watch ${request.path}: ${(error as Error).message}`, { cause: error })
  }
}

/** One JSON object a line. */
async function* events(body: Dispatcher.ResponseData['body'], request: WatchRequest): AsyncGenerator<WatchEvent> {
  // Leaving early destroys the body, and what it says about that is no news.
  body.on('error', () => {})
  try {
    for await (const line of lines(body)) yield JSON.parse(line) as WatchEvent
  } catch (error) {
    if (request.signal?.aborted) return
    throw new TransportError(`watch ${request.path} broke: ${(error as Error).message}`, { cause: error })
  } finally {
    body.destroy()
  }
}

/**
 * The lines that are not empty. Only a line feed ends one: node:readline would also split at U+2028 and U+2029, which
 * JSON allows inside strings.
 */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let parts: string[] = []
  let heldBytes = 0
  for await (const chunk of body) {
    const [first = '', ...more] = decoder.decode(chunk, { stream: true }).split('\n')
    parts.push(first)
    heldBytes = more.length > 0 ? chunk.length : heldBytes + chunk.length
    if (heldBytes > LONGEST_LINE_BYTES) throw new Error(`a line is longer than ${LONGEST_LINE_BYTES} bytes`)
    for (const next of more) {
      const line = parts.join('')
      if (line.trim() !== '') yield line
      parts = [next]
    }
  }
  const rest = parts.join('') + decoder.decode()
  if (rest.trim() !== '') yield rest
}

/** An abort is a clean end of a watch, not an error. */
async function abortable<Value>(opening: Promise<Value>, signal: AbortSignal | undefined): Promise<Value | undefined> {
  try {
    return await opening
  } catch (error) {
    if (signal?.aborted) return undefined
    throw error
  }
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]))
}

function parsed(headers: Record<string, string | string[] | undefined>, text: string): unknown {
  if (!String(headers['content-type'] ?? '').includes('json')) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
