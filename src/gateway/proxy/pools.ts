/** Adapter: connections to agents, by undici, one pool a pod. */
import { isIPv6, type Socket } from 'node:net'
import { Pool, type buildConnector } from 'undici'
import type { Dial } from '../env.ts'
import { NotProven, Refused, type Reach, type UpstreamPod } from '../upstream.ts'
import { isUsable, openUpstream, type Proving } from './connect.ts'

const CONNECTIONS = 64
const CONNECT_TIMEOUT_MS = 2_000
/** Below what agents' servers keep an idle connection (Node and uvicorn 5 s, gunicorn 2 s), or a call could meet its end. */
const KEEP_ALIVE_MS = 1_000
/** Pods that went, remembered: a call that was let in just before must not make a pool that nothing would remove. */
const REMEMBERED_GONE = 1_000

/**
 * Upstream connections, keyed by pod UID and never by address: an address may be another pod's by then (design rule 1). Each
 * is proven when it is opened. No time-outs of undici's: an agent may think for as long as its session lives.
 */
export class Pools implements Dial {
  readonly #proving: Proving
  readonly #pools = new Map<string, Pool>()
  readonly #gone = new Set<string>()
  /** One a pod, for its next call: so a pod's first connection is opened and proven once. */
  readonly #spare = new Map<string, Spare>()

  constructor(proving: Proving) {
    this.#proving = proving
  }

  /** Throws Refused when the pod is gone. */
  of(pod: UpstreamPod): Pool {
    if (this.#gone.has(pod.uid)) throw new Refused('the pod is gone')
    let pool = this.#pools.get(pod.uid)
    if (pool === undefined) {
      pool = new Pool(`http://${isIPv6(pod.address) ? `[${pod.address}]` : pod.address}:${pod.port}`, {
        connections: CONNECTIONS,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        connect: (_options, callback) => void this.#answer(pod, callback),
      })
      this.#pools.set(pod.uid, pool)
    }
    return pool
  }

  /** Opens a connection, which the pod's next call takes when it comes soon. Never rejects. */
  async connect(pod: UpstreamPod, timeoutMs: number): Promise<Reach> {
    try {
      this.#keep(pod.uid, await this.#opened(pod, timeoutMs))
      return 'connected'
    } catch (error) {
      if (error instanceof NotProven) return error.why
      if (error instanceof Refused) return 'refused'
      throw error
    }
  }

  /** The route is gone: open answers break off, visibly. `gently` lets what the agent has already sent arrive. */
  remove(podUID: string, how: 'gently' | 'at once'): void {
    const pool = this.#pools.get(podUID)
    this.#pools.delete(podUID)
    this.#takeSpare(podUID)?.destroy()
    this.#gone.add(podUID)
    if (this.#gone.size > REMEMBERED_GONE) for (const oldest of this.#gone.values().take(1)) this.#gone.delete(oldest)
    void (how === 'gently' ? pool?.close() : pool?.destroy())?.catch(() => {})
  }

  get size(): number {
    return this.#pools.size
  }

  /** Open connections to agents. */
  get connections(): number {
    return this.#spare.size + this.#pools.values().reduce((sum, { stats }) => sum + stats.connected, 0)
  }

  async close(): Promise<void> {
    for (const podUID of this.#spare.keys()) this.#takeSpare(podUID)?.destroy()
    await Promise.all(Array.from(this.#pools.values(), (pool) => pool.destroy()))
    this.#pools.clear()
  }

  /** undici's way of asking for a connection. */
  async #answer(pod: UpstreamPod, callback: buildConnector.Callback): Promise<void> {
    let socket: Socket
    try {
      socket = await this.#open(pod)
    } catch (error) {
      return callback(error as Error, null)
    }
    callback(null, socket)
  }

  async #open(pod: UpstreamPod): Promise<Socket> {
    return this.#takeSpare(pod.uid) ?? this.#opened(pod, CONNECT_TIMEOUT_MS)
  }

  async #opened(pod: UpstreamPod, timeoutMs: number): Promise<Socket> {
    const socket = await openUpstream(pod, this.#proving, timeoutMs)
    if (!this.#gone.has(pod.uid)) return socket
    socket.destroy()
    throw new Refused('the pod is gone')
  }

  #keep(podUID: string, socket: Socket): void {
    this.#takeSpare(podUID)?.destroy()
    const timer = setTimeout(() => this.#takeSpare(podUID)?.destroy(), KEEP_ALIVE_MS).unref()
    const onClose = (): void => void this.#takeSpare(podUID)
    socket.once('close', onClose)
    this.#spare.set(podUID, { socket, timer, onClose })
  }

  #takeSpare(podUID: string): Socket | undefined {
    const spare = this.#spare.get(podUID)
    if (spare === undefined) return undefined
    this.#spare.delete(podUID)
    clearTimeout(spare.timer)
    spare.socket.off('close', spare.onClose)
    if (isUsable(spare.socket)) return spare.socket
    spare.socket.destroy()
    return undefined
  }
}

interface Spare {
  socket: Socket
  timer: NodeJS.Timeout
  onClose: () => void
}
