/** Adapter: connections to agents, by undici, one pool a pod. */
import { Pool } from 'undici'

const CONNECTIONS = 64
const CONNECT_TIMEOUT_MS = 2_000
/** Below what any agent's server keeps an idle connection: Node's own is 5 s, uvicorn's too. */
const KEEP_ALIVE_MS = 2_000

/**
 * Upstream connections, keyed by pod UID and never by address: an address may be another pod's by then (design rule 1).
 * No time-outs of undici's: an agent may think for as long as its session lives.
 */
export class Pools {
  readonly #pools = new Map<string, Pool>()

  of(pod: { uid: string; address: string; port: number }): Pool {
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
    void (how === 'gently' ? pool?.close() : pool?.destroy())?.catch(() => {})
  }

  get size(): number {
    return this.#pools.size
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#pools.values(), (pool) => pool.destroy()))
    this.#pools.clear()
  }
}
