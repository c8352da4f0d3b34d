import { rfc3339Micros } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import type { KubeClient } from './client.ts'
import { isNotFound } from './errors.ts'
import type { KubeObject } from './objects.ts'
import type { Resource } from './resource.ts'

export interface KubeEvent extends KubeObject {
  eventTime: string
  reportingController: string
  reportingInstance: string
  action: string
  reason: string
  regarding: { apiVersion: string; kind: string; namespace?: string; name: string; uid?: string }
  note: string
  type: 'Normal' | 'Warning'
  series?: { count: number; lastObservedTime: string }
}

export const EVENTS: Resource<KubeEvent> = { group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events', namespaced: true }

/** The same thing about the same object within this time is one event with a series. */
const SERIES_MS = 360_000
/** Token bucket per object: this many at once, then one each REFILL_MS. */
const BURST = 25
const REFILL_MS = 300_000
const LONGEST_NOTE_BYTES = 1_024
const MOST_OBJECTS = 4_096

interface Recorded {
  name: string
  namespace: string
  count: number
  lastAtMs: number
}

/** Tells people what happened, as events.k8s.io/v1. Never throws, never blocks, never floods. */
export class EventRecorder {
  readonly #env: Env
  readonly #client: KubeClient
  readonly #reporter: { controller: string; instance: string }
  readonly #recorded = new Map<string, Recorded>()
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()
  #tail: Promise<void> = Promise.resolve()

  constructor(env: Env, client: KubeClient, reporter: { controller: string; instance: string }) {
    this.#env = env
    this.#client = client
    this.#reporter = reporter
  }

  record(about: KubeObject, event: { type: 'Normal' | 'Warning'; reason: string; note: string; action: string }): void {
    if (!this.#takeToken(about.metadata.uid ?? about.metadata.name)) return
    this.#tail = this.#tail
      .then(() => this.#write(about, event))
      .catch((error: unknown) => {
        this.#env.log.warn({ reason: event.reason, about: about.metadata.name, err: error }, 'an event could not be recorded')
      })
  }

  /** Resolves when everything recorded so far was written or given up. */
  flush(): Promise<void> {
    return this.#tail
  }

  async #write(about: KubeObject, event: { type: 'Normal' | 'Warning'; reason: string; note: string; action: string }): Promise<void> {
    const nowMs = this.#env.clock.now()
    const key = [about.metadata.uid, event.type, event.reason, event.action, event.note].join('\0')
    const known = this.#recorded.get(key)
    if (known && nowMs - known.lastAtMs < SERIES_MS) {
      known.count += 1
      known.lastAtMs = nowMs
      const series = { count: known.count, lastObservedTime: rfc3339Micros(nowMs) }
      if (await this.#prolong(known, series)) return
    }
    const object = this.#eventOf(about, event, nowMs)
    await this.#client.create(EVENTS, object)
    this.#recorded.set(key, { name: object.metadata.name, namespace: object.metadata.namespace!, count: 1, lastAtMs: nowMs })
    if (this.#recorded.size > MOST_OBJECTS) this.#recorded.delete(this.#recorded.keys().next().value!)
  }

  /** False when the event is not there any more: the server keeps events for an hour or less. */
  async #prolong(known: Recorded, series: KubeEvent['series']): Promise<boolean> {
    try {
      await this.#client.mergePatch(EVENTS, known.namespace, known.name, { series })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  #eventOf(
    about: KubeObject,
    event: { type: 'Normal' | 'Warning'; reason: string; note: string; action: string },
    nowMs: number,
  ): KubeEvent {
    const { name, namespace = 'default', uid } = about.metadata
    const suffix = Buffer.from(this.#env.random.bytes(8)).toString('hex')
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 200).replace(/[-.]+$/, '')}.${suffix}`, namespace },
      eventTime: rfc3339Micros(nowMs),
      reportingController: this.#reporter.controller,
      reportingInstance: this.#reporter.instance,
      action: event.action,
      reason: event.reason,
      regarding: { apiVersion: about.apiVersion, kind: about.kind, namespace, name, ...(uid ? { uid } : {}) },
      note: shortened(event.note),
      type: event.type,
    }
  }

  #takeToken(object: string): boolean {
    const nowMs = this.#env.clock.monotonic()
    const bucket = this.#buckets.get(object) ?? { tokens: BURST, atMs: nowMs }
    const refilled = Math.floor((nowMs - bucket.atMs) / REFILL_MS)
    if (refilled > 0) {
      bucket.tokens = Math.min(BURST, bucket.tokens + refilled)
      bucket.atMs += refilled * REFILL_MS
    }
    this.#buckets.set(object, bucket)
    if (this.#buckets.size > MOST_OBJECTS) this.#buckets.delete(this.#buckets.keys().next().value!)
    if (bucket.tokens === 0) return false
    bucket.tokens -= 1
    return true
  }
}

/** The server counts bytes, and a character is not cut in two. */
function shortened(note: string): string {
  if (Buffer.byteLength(note) <= LONGEST_NOTE_BYTES) return note
  return new TextDecoder().decode(Buffer.from(note).subarray(0, LONGEST_NOTE_BYTES), { stream: true })
}
