/** Adapter: connections to agents, by undici, one pool a pod. */
import { Pool } from 'undici'
import { Refused } from './forward.ts'

const CONNECTIONS = 64
const CONNECT_TIMEOUT_MS = 2_000
/** Below what agents' servers keep an idle connection (Node and uvicorn 5 s, gunicorn 2 s), or a call could meet its end. */
const KEEP_ALIVE_MS = 1_000
/** Pods that went, remembered: a call that was let in just before must not make a pool that nothing would remove. */
const REMEMBERED_GONE = 1_000

/**
 * Upstream connections, keyed by pod UID and never by address: an address may be another pod's by then (design rule 1).
 * No time-outs of undici's: an agent may think for as long as its session lives.
 */
export class Pools {
  readonly #pools = new Map<string, Pool>()
  readonly #gone = new Set<string>()

  /** Throws Refused when the pod is gone. */
  of(pod: { uid: string; address: string; port: number }): Pool {
    if (this.#gone.has(pod.uid)) throw new Refused('the pod is gone')
    let pool = this.#pools.get(pod.uid)
    if (pool === undefined) {
      pool = new Pool(`http://${pod.address}:${pod.port}`, {
        connections: CONNECTIONS,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        connect: { timeout: CONNECT_TIMEOUT_MS, noDelay: true },
      })
      this.#pools.set(pod.uid, pool)
    }
    return pool
  }

  /** The route is gone: open answers break off, visibly. `gently` lets what the agent has already sent arrive. */
  remove(podUID: string, how: 'gently' | 'at once'): void {
    const pool = this.#pools.get(podUID)
    this.#pools.delete(podUID)
    this.#gone.add(podUID)
    if (this.#gone.size > REMEMBERED_GONE) for (const oldest of this.#gone.values().take(1)) this.#gone.delete(oldest)
    void (how === 'gently' ? pool?.close() : pool?.destroy())?.catch(() => {})
  }

  get size(): number {
    return this.#pools.size
  }

  /** Open connections to agents. */
  get connections(): number {
    return this.#pools.values().reduce((sum, { stats }) => sum + stats.connected, 0)
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#pools.values(), (pool) => pool.destroy()))
    this.#pools.clear()
  }
}
