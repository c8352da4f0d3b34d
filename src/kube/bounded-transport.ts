import type { Timer } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import { TransportError } from './errors.ts'
import type { ApiRequest, ApiResponse, Transport } from './transport.ts'

/**
 * The same transport, but no request takes longer than `timeoutMs` by our own clock, whatever the transport below does
 * about its deadline: who renews a Lease must hear in time that nothing was heard. Watches are not bounded.
 */
export function boundedTransport(env: Env, inner: Transport, timeoutMs: number): Transport {
  async function request(asked: ApiRequest): Promise<ApiResponse> {
    const giveUp = new AbortController()
    const forward = (): void => giveUp.abort()
    asked.signal?.addEventListener('abort', forward, { once: true })
    if (asked.signal?.aborted) giveUp.abort()
    let timer: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      timer = env.clock.after(timeoutMs, () => {
        giveUp.abort()
        reject(new TransportError(`${asked.method} ${asked.path}: no answer within ${timeoutMs} ms`))
      })
    })
    try {
      return await Promise.race([inner.request({ ...asked, timeoutMs, signal: giveUp.signal }), late])
    } finally {
      timer?.cancel()
      asked.signal?.removeEventListener('abort', forward)
    }
  }

  return { request, watch: (asked) => inner.watch(asked) }
}
