import type { Clock, Timer } from '../../env/clock.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { WatchEvent } from '../../kube/transport.ts'
import type { Committed } from './object-store.ts'
import type { Matcher } from './selectors.ts'
import { expired, failure, type Refusal } from './statuses.ts'

const BOOKMARK_MS = 60_000
/** A watch that is this far behind ends, and its client comes back; its memory is bounded. */
const LONGEST_QUEUE = 10_000

export interface WatchOptions {
  collection: string
  /** Namespace and selectors in one. */
  matches: Matcher
  /** Events after this one. */
  after: number
  /** Sent first, as ADDED. */
  initial: KubeObject[]
  bookmarks: boolean
  /** A bookmark says where the initial objects end (`sendInitialEvents`, KEP-3157). */
  marksInitialEnd: boolean
  timeoutMs: number | undefined
  signal: AbortSignal | undefined
  /** From the stored form to the served one. */
  serve: (object: KubeObject) => KubeObject
  apiVersion: string
  kind: string
}

/** The last events of all collections, bounded; watches begin in it and follow it. */
export class History {
  readonly #clock: Clock
  readonly #size: number
  readonly #now: () => number
  readonly #watchers = new Set<Watcher>()
  #events: Committed[] = []
  /** Events at or before this resourceVersion are forgotten. */
  #forgottenThrough = 0

  constructor(clock: Clock, size: number, now: () => number) {
    this.#clock = clock
    this.#size = size
    this.#now = now
  }

  /** At start and for tests: watches from before now get 410. */
  forget(): void {
    this.#events = []
    this.#forgottenThrough = this.#now()
  }

  /** Ends every watch with 410, as a real server does when its history is compacted under a slow one. */
  expireWatches(): void {
    for (const watcher of this.#watchers) watcher.fail(expired())
  }

  add(event: Committed): void {
    this.#events.push(event)
    if (this.#events.length > this.#size) this.#forgottenThrough = this.#events.shift()!.resourceVersion
    for (const watcher of this.#watchers) watcher.offer(event)
  }

  /**
   * A watch from a resourceVersion that is forgotten begins, and ends, with the error 410, as the real server has it. So
   * does one from the future: there it would wait for ever, but here it means that the state's folder was emptied.
   */
  watch(options: WatchOptions): AsyncIterable<WatchEvent> {
    const { after } = options
    if (after < this.#forgottenThrough) return refused(expired(`too old resource version: ${after} (${this.#forgottenThrough})`))
    if (after > this.#now()) return refused(expired(`too large resource version: ${after}, current: ${this.#now()}`))
    const missed = this.#events.filter((event) => event.resourceVersion > after)
    const watcher = new Watcher(options, this.#clock, this.#now, this.#watchers)
    for (const event of missed) watcher.offer(event)
    if (options.signal?.aborted) watcher.end()
    return watcher
  }

  /** Ends every watch, cleanly. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end()
  }
}

async function* refused({ code, reason, message }: Refusal): AsyncGenerator<WatchEvent> {
  yield { type: 'ERROR', object: failure(code, reason, message) }
}

class Watcher implements AsyncIterable<WatchEvent> {
  readonly #options: WatchOptions
  readonly #clock: Clock
  readonly #now: () => number
  readonly #watchers: Set<Watcher>
  readonly #queue: WatchEvent[]
  readonly #timers: Timer[] = []
  readonly #abort = (): void => this.end()
  #wake: (() => void) | undefined
  #ended = false

  constructor(options: WatchOptions, clock: Clock, now: () => number, watchers: Set<Watcher>) {
    this.#options = options
    this.#clock = clock
    this.#now = now
    this.#watchers = watchers
    watchers.add(this)
    this.#queue = options.initial.map((object) => ({ type: 'ADDED', object }))
    if (options.marksInitialEnd) this.#queue.push(this.#bookmark({ 'k8s.io/initial-events-end': 'true' }))
    if (options.timeoutMs !== undefined) this.#timers.push(clock.after(options.timeoutMs, () => this.end()))
    if (options.bookmarks) this.#armBookmark()
    options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** An object that enters the selector is ADDED to this watch, one that leaves it is DELETED. */
  offer(event: Committed): void {
    const { collection, matches, serve } = this.#options
    if (event.collection !== collection) return
    const was = event.previous !== undefined && matches(event.previous)
    const is = event.type !== 'DELETED' && matches(event.object)
    if (is) this.#push({ type: was ? 'MODIFIED' : 'ADDED', object: serve(event.object) })
    else if (was)
      this.#push({
        type: 'DELETED',
        object: serve({ ...event.previous!, metadata: { ...event.previous!.metadata, resourceVersion: String(event.resourceVersion) } }),
      })
  }

  fail(refusal: Refusal): void {
    this.#push({ type: 'ERROR', object: failure(refusal.code, refusal.reason, refusal.message) })
    this.end()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const timer of this.#timers) timer.cancel()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    this.#watchers.delete(this)
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent> {
    try {
      for (;;) {
        const event = this.#queue.shift()
        if (event) yield event
        else if (this.#ended) return
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      this.end()
    }
  }

  #bookmark(annotations?: Record<string, string>): WatchEvent {
    const { apiVersion, kind } = this.#options
    const metadata = { resourceVersion: String(this.#now()), ...(annotations ? { annotations } : {}) }
    return { type: 'BOOKMARK', object: { apiVersion, kind, metadata } as unknown as KubeObject }
  }

  #push(event: WatchEvent): void {
    if (this.#ended) return
    if (this.#queue.length >= LONGEST_QUEUE + this.#options.initial.length) return this.end()
    this.#queue.push(event)
    this.#wake?.()
  }

  #armBookmark(): void {
    const timer = this.#clock.after(BOOKMARK_MS, () => {
      this.#push(this.#bookmark())
      this.#timers.splice(this.#timers.indexOf(timer), 1)
      if (!this.#ended) this.#armBookmark()
    })
    this.#timers.push(timer)
  }
}
