import { sleep } from '../../src/env/clock.ts'
import type { Env } from '../../src/env/env.ts'
import { TransportError } from '../../src/kube/errors.ts'
import type { KubeObject, Status } from '../../src/kube/objects.ts'
import type { ApiRequest, ApiResponse, Transport, WatchEvent, WatchRequest } from '../../src/kube/transport.ts'

/** What a watch does next; a script that ends without `close`, `cut` or a refusal goes on in silence. */
export type WatchStep = WatchEvent | 'close' | 'cut' | Error | { waitMs: number }

/** An API server that does what its script says: one answer for each list, one script for each watch; then silence. */
export class ScriptedTransport implements Transport {
  readonly asked: { what: 'list' | 'watch'; query: Record<string, string>; path: string; atMs: number }[] = []
  openWatches = 0
  openLists = 0
  readonly #env: Env
  readonly #lists: (ApiResponse | Error)[]
  readonly #watches: WatchStep[][]

  constructor(env: Env, script: { lists: (ApiResponse | Error)[]; watches?: WatchStep[][] }) {
    this.#env = env
    this.#lists = script.lists
    this.#watches = script.watches ?? []
  }

  of(what: 'list' | 'watch'): { query: Record<string, string>; path: string; atMs: number }[] {
    return this.asked.filter((asked) => asked.what === what)
  }

  async request({ path, query = {}, signal }: ApiRequest): Promise<ApiResponse> {
    this.asked.push({ what: 'list', query, path, atMs: this.#env.clock.monotonic() })
    const answer = this.#lists.shift()
    if (answer === undefined) {
      this.openLists += 1
      await aborted(signal)
      this.openLists -= 1
      throw new TransportError('aborted')
    }
    if (answer instanceof Error) throw answer
    return answer
  }

  async *watch({ path, query = {}, signal }: WatchRequest): AsyncGenerator<WatchEvent> {
    this.asked.push({ what: 'watch', query, path, atMs: this.#env.clock.monotonic() })
    this.openWatches += 1
    try {
      for (const step of this.#watches.shift() ?? []) {
        if (step === 'close' || signal?.aborted) return
        if (step === 'cut') throw new TransportError('socket hang up')
        if (step instanceof Error) throw step
        if ('waitMs' in step) await sleep(this.#env.clock, step.waitMs, signal)
        else yield step
      }
      await aborted(signal)
    } finally {
      this.openWatches -= 1
    }
  }
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => (signal?.aborted ? resolve() : signal?.addEventListener('abort', () => resolve(), { once: true })))
}

/** A page of things as the server would list them. */
export function page(items: KubeObject[], resourceVersion: string | number, next?: string): ApiResponse {
  const metadata = { resourceVersion: String(resourceVersion), ...(next ? { continue: next } : {}) }
  return { status: 200, headers: {}, body: { apiVersion: 'test.example/v1', kind: 'ThingList', metadata, items } }
}

export function refusal(status: number, headers: Record<string, string> = {}, reason = 'Because'): ApiResponse {
  return { status, headers, body: failure(status, reason) }
}

export function failure(code: number, reason: string): Status {
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason, message: 'as scripted' }
}

export function bookmark(version: number): WatchEvent {
  return {
    type: 'BOOKMARK',
    object: { apiVersion: 'test.example/v1', kind: 'Thing', metadata: { name: '', resourceVersion: String(version) } },
  }
}
