/** Adapter: bounds what clients may hold open before anybody knows who they are. */
import type { Server, ServerOptions } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import type { Env } from '../../env/env.ts'
import { uuid } from '../../env/random.ts'
import { GatewayError, wireForm } from '../errors.ts'
import type { LimitObserver } from '../metrics.ts'

/** Of AgentCore none is known; well above what one client's connection pools hold. */
export const DEFAULT_CONNECTIONS_PER_ADDRESS = 1_000
const RETRY_AFTER_MS = 1_000
/** So long a refused client has to read why. */
const LINGER_MS = 1_000
const LOG_EVERY_MS = 1_000
/** Node looks this often for heads that take too long, by default every 30 s. */
const DEADLINE_CHECKS = 4

/** For `createServer`: a request's head is complete within `headMs`, and a quarter of it for the check, or the connection ends. */
export function headDeadline(headMs: number): Pick<ServerOptions, 'headersTimeout' | 'connectionsCheckingInterval'> {
  return { headersTimeout: headMs, connectionsCheckingInterval: Math.max(1, Math.floor(headMs / DEADLINE_CHECKS)) }
}

export interface ConnectionLimit {
  /** 0: no limit, for a gateway whose clients all come through one proxy. */
  perAddress: number
  observer?: LimitObserver | undefined
}

/**
 * Counts the open connections of each client address (of IPv6 each /64 network, which one client has to itself). One too many is
 * told 429 without being read, and closed; logged at most once a second. Call it before the server listens.
 */
export function limitConnections(server: Server, env: Env, { perAddress, observer }: ConnectionLimit): void {
  if (perAddress === 0) return
  const open = new Map<string, number>()
  const log = new RefusalLog(env)
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket.remoteAddress ?? '')
    const count = (open.get(client) ?? 0) + 1
    open.set(client, count)
    socket.once('close', () => {
      const left = open.get(client)! - 1
      if (left > 0) open.set(client, left)
      else open.delete(client)
    })
    if (count <= perAddress) return listeners.forEach((listener) => listener.call(server, socket))
    observer?.limited('connectionsPerAddress')
    log.refused(client)
    refuse(socket, perAddress, env)
  })
}

/** Whom a connection counts for. */
export function clientOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return isIPv6(plain) ? `${networkOf(plain)}::/64` : plain
}

/** The first four groups, as text that is the same for all addresses of the network. */
function networkOf(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const groups = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - last.length }, () => '0')
  return [...groups, ...zeros, ...last]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

function refuse(socket: Socket, perAddress: number, { random }: Env): void {
  const error = new GatewayError(
    'ThrottlingException',
    `more than ${perAddress} connections from one address: close some, and use those that are open for further calls`,
    { retryAfterMs: RETRY_AFTER_MS },
  )
  const { headers, body } = wireForm(error, uuid(random))
  const head = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  const giveUp = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(giveUp)).on('error', () => socket.destroy())
  socket.once('end', () => socket.destroy())
  socket.resume() // unread bytes would reset the connection, and the answer with it
  socket.end(`HTTP/1.1 ${error.status} Too Many Requests\r\n${lines.join('')}\r\n${body}`)
}

/** A flood must not flood the log. */
class RefusalLog {
  readonly #env: Env
  #loggedAtMs = -Infinity
  #untold = 0

  constructor(env: Env) {
    this.#env = env
  }

  refused(address: string): void {
    this.#untold += 1
    const nowMs = this.#env.clock.monotonic()
    if (nowMs - this.#loggedAtMs < LOG_EVERY_MS) return
    this.#env.log.warn({ address, refused: this.#untold }, 'too many connections from one address')
    this.#loggedAtMs = nowMs
    this.#untold = 0
  }
}
