import { sleep, type Timer } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import type { Contents } from './contents.ts'
import { ApiError, isGone, TransportError } from './errors.ts'
import type { KubeObject, Status } from './objects.ts'
import { pathOf, type Resource } from './resource.ts'
import type { Store } from './store.ts'
import type { Transport, WatchEvent } from './transport.ts'

/** To parse a page stalls the event loop (10 ms for 1 MiB), and each is a request: measured in docs/benchmarks.md. */
const PAGE_SIZE = 250
/** Asked of the server; it ends the watch cleanly then, and we go on from the last resourceVersion. */
const WATCH_SECONDS = 290
/** A watch on which nothing arrives for this long, not even a bookmark, is taken for a dead connection. */
const SILENCE_MS = 320_000
/** A watch that the server ends sooner than this was of no use. */
const SHORT_WATCH_MS = 1_000
const FIRST_BACKOFF_MS = 100
const LONGEST_BACKOFF_MS = 30_000
/** Where nothing answers, asking costs little, and a server that is back must be found soon. */
const LONGEST_UNANSWERED_BACKOFF_MS = 1_000

/** Where the reflector is. Only `Empty` knows no resourceVersion to go on from. */
export type ReflectorState<T extends KubeObject> =
  | { state: 'Empty' }
  | { state: 'Listing'; continueToken: string; draft: Contents<T> }
  | { state: 'Listed'; resourceVersion: string }
  | { state: 'Watching'; resourceVersion: string }

export interface ReflectorCounters {
  lists: number
  watches: number
  /** By reason: `closed`, `gone`, `refused`, `cut`, `silent`. */
  restarts: Record<string, number>
  lastEventAtMs: number
}

export interface ReflectOptions<T extends KubeObject> {
  env: Env
  transport: Transport
  resource: Resource<T>
  store: Store<T>
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  /** Projects each object before it is stored. An object on which it throws is left out, and logged. */
  transform?: (object: T) => T
  silenceMs?: number
  counters?: ReflectorCounters
}

/**
 * Keeps a store equal to the server's collection until the signal aborts. It never throws and never stops by itself: every
 * failure is answered by going on from the last resourceVersion after a jittered backoff (Retry-After obeyed); only 410
 * forgets the resourceVersion and lists anew. Started twice on one store, the second is refused (rejects at once).
 */
export async function reflect<T extends KubeObject>(options: ReflectOptions<T>, signal: AbortSignal): Promise<void> {
  const endFeeding = options.store.feed()
  const reflector = new Reflector(options, signal)
  options.store.project = (object) => reflector.projected(object)
  options.store.onListenerError = (error) =>
    options.env.log.error({ resource: options.resource.plural, err: error }, 'a listener or an index of the store threw')
  while (!signal.aborted) await reflector.step()
  endFeeding()
}

class Reflector<T extends KubeObject> {
  readonly #options: ReflectOptions<T>
  readonly #signal: AbortSignal
  readonly #counters: ReflectorCounters
  #at: ReflectorState<T> = { state: 'Empty' }
  /** In a row, as the server answered them. */
  #failures = 0
  /** Attempts in a row that nobody answered; a server that is back begins with none. */
  #unanswered = 0

  constructor(options: ReflectOptions<T>, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#counters = options.counters ?? { lists: 0, watches: 0, restarts: {}, lastEventAtMs: 0 }
  }

  /** One transition. */
  async step(): Promise<void> {
    try {
      switch (this.#at.state) {
        case 'Empty':
          this.#counters.lists += 1
          return await this.#listPage(this.#options.store.draft(), undefined)
        case 'Listing':
          return await this.#listPage(this.#at.draft, this.#at.continueToken)
        case 'Listed':
        case 'Watching':
          return await this.#watch(this.#at.resourceVersion)
      }
    } catch (error) {
      if (this.#signal.aborted) return
      await this.#recover(error)
    }
  }

  async #listPage(draft: Contents<T>, continueToken: string | undefined): Promise<void> {
    const { transport, resource, namespace, store } = this.#options
    const query = { ...this.#selectors(), limit: String(PAGE_SIZE), ...(continueToken ? { continue: continueToken } : {}) }
    const response = await transport.request({ method: 'GET', path: pathOf(resource, namespace), query, signal: this.#signal })
    if (this.#signal.aborted) return
    this.#unanswered = 0
    if (response.status !== 200) throw ApiError.from(response, `list ${resource.plural}`)
    const page = response.body as { apiVersion: string; metadata: { resourceVersion: string; continue?: string }; items: T[] }
    const { apiVersion } = page
    const items: T[] = []
    for (const item of page.items) {
      const object = this.projected({ ...item, apiVersion: item.apiVersion ?? apiVersion, kind: item.kind ?? resource.kind })
      if (object) items.push(object)
    }
    draft.add(items)
    if (page.metadata.continue) {
      this.#at = { state: 'Listing', continueToken: page.metadata.continue, draft }
      return
    }
    store.replaceWith(draft, page.metadata.resourceVersion)
    this.#at = { state: 'Listed', resourceVersion: page.metadata.resourceVersion }
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { transport, resource, namespace, env } = this.#options
    const seconds = Math.round(WATCH_SECONDS * (0.9 + env.random.fraction() / 10))
    const query = { ...this.#selectors(), watch: 'true', resourceVersion, allowWatchBookmarks: 'true', timeoutSeconds: String(seconds) }
    const silence = new SilenceAlarm(env, this.#options.silenceMs ?? SILENCE_MS, this.#signal)
    this.#counters.watches += 1
    this.#at = { state: 'Watching', resourceVersion }
    const startedAtMs = env.clock.monotonic()
    try {
      for await (const event of transport.watch({ path: pathOf(resource, namespace), query, signal: silence.signal })) {
        silence.reset()
        this.#apply(event)
        this.#unanswered = 0
        if (event.type !== 'BOOKMARK') this.#failures = 0
        if (this.#signal.aborted) return
      }
    } finally {
      silence.stop()
    }
    if (this.#signal.aborted) return
    this.#count(silence.rang ? 'silent' : 'closed')
    // A server that closes at once, again and again, must not be hammered, whatever it says before.
    if (env.clock.monotonic() - startedAtMs < SHORT_WATCH_MS) await this.#backOff(undefined)
    else this.#failures = 0
  }

  #apply(event: WatchEvent): void {
    if (event.type === 'ERROR') throw errorOf(event.object)
    const { store, env } = this.#options
    const { resourceVersion } = event.object.metadata
    this.#counters.lastEventAtMs = env.clock.monotonic()
    if (event.type !== 'BOOKMARK') {
      const object = this.projected(event.object as T)
      // Without a projection of what it is now, what it was before must not stay.
      if (object) store.apply(event.type, object)
      else store.apply('DELETED', event.object as T)
    }
    if (resourceVersion) this.#at = { state: 'Watching', resourceVersion }
  }

  /** What is kept of an object. One that cannot be projected must not hold up all others. */
  projected(object: T): T | undefined {
    const { transform, env, resource } = this.#options
    try {
      const bare = withoutManagedFields(object)
      return transform ? transform(bare) : bare
    } catch (error) {
      const { namespace, name } = object.metadata
      env.log.error({ resource: resource.plural, namespace, name, err: error }, 'an object could not be projected and is left out')
      return undefined
    }
  }

  async #recover(error: unknown): Promise<void> {
    const { env, resource } = this.#options
    const gone = isGone(error)
    this.#count(gone ? 'gone' : error instanceof ApiError ? 'refused' : 'cut')
    if (gone || (this.#at.state === 'Listing' && !isPassing(error))) this.#at = { state: 'Empty' }
    const fields = { resource: resource.plural, state: this.#at.state, err: error }
    if (gone) env.log.info(fields, 'the resourceVersion is too old; listing anew')
    else env.log.warn(fields, 'list or watch failed; going on after a pause')
    if (error instanceof TransportError)
      await this.#pause(Math.min(FIRST_BACKOFF_MS * 2 ** this.#unanswered++, LONGEST_UNANSWERED_BACKOFF_MS))
    else await this.#backOff(error instanceof ApiError ? error.retryAfterMs : undefined)
  }

  async #backOff(retryAfterMs: number | undefined): Promise<void> {
    this.#unanswered = 0
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures, LONGEST_BACKOFF_MS)
    this.#failures = Math.min(this.#failures + 1, 20)
    if (retryAfterMs === undefined) await this.#pause(backoffMs)
    else await sleep(this.#options.env.clock, retryAfterMs, this.#signal)
  }

  async #pause(aboutMs: number): Promise<void> {
    const { clock, random } = this.#options.env
    await sleep(clock, aboutMs * (0.5 + random.fraction()), this.#signal)
  }

  #count(reason: string): void {
    this.#counters.restarts[reason] = (this.#counters.restarts[reason] ?? 0) + 1
  }

  #selectors(): Record<string, string> {
    const { labelSelector, fieldSelector } = this.#options
    return { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) }
  }
}

/** Half of an object's bytes, and nobody here reads them. A PUT without them leaves them as they are. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object
  const { managedFields: _dropped, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** The same page may well be had a moment later. */
function isPassing(error: unknown): boolean {
  return error instanceof TransportError || (error instanceof ApiError && (error.status === 429 || error.status >= 500))
}

function errorOf(status: Status): ApiError {
  const seconds = status.details?.retryAfterSeconds
  return new ApiError(
    status.code,
    status.reason ?? 'Unknown',
    status.message ?? 'the watch ended with an error',
    seconds ? seconds * 1000 : undefined,
  )
}

/** Aborts a watch on which nothing arrives: a half-open connection is silent for ever. */
class SilenceAlarm {
  readonly #env: Env
  readonly #afterMs: number
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal
  readonly #forward = (): void => this.#controller.abort()
  #timer: Timer
  rang = false

  constructor(env: Env, afterMs: number, outer: AbortSignal) {
    this.#env = env
    this.#afterMs = afterMs
    this.#outer = outer
    outer.addEventListener('abort', this.#forward, { once: true })
    if (outer.aborted) this.#controller.abort()
    this.#timer = this.#arm()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  reset(): void {
    this.#timer.cancel()
    this.#timer = this.#arm()
  }

  stop(): void {
    this.#timer.cancel()
    this.#outer.removeEventListener('abort', this.#forward)
  }

  #arm(): Timer {
    return this.#env.clock.after(this.#afterMs, () => {
      this.rang = true
      this.#controller.abort()
    })
  }
}
