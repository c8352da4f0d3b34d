/**
 * Fault knobs of the embedded API, for tests of its clients: `faulty(api, faults)` is the same handler, spoiled as the knobs
 * say. Without a knob set it changes nothing, and nothing but a test sets one: no flag, variable or request does. The API
 * itself knows nothing of it.
 *
 * | knob | what the client meets |
 * |---|---|
 * | `refuse` 409, 410, 429, 500, 503 | that answer, with Retry-After if given; a write is not carried out |
 * | `cut` | the connection breaks: a request before it is carried out, or after (`late`); a watch after so many events |
 * | `close` | a watch ends cleanly after so many events |
 * | `error` | a watch yields an ERROR event of that code after so many events, and then nothing more |
 * | `stall` | the connection stays open and nothing comes: no answer, no further event |
 * | `delay` | answers and events come so much later |
 * | `replay` | each event of a watch comes twice |
 * | `stale` | a server that is behind: reads as they were last answered, watches without what came since |
 */
import type { Env } from '../../env/env.ts'
import { sleep } from '../../env/clock.ts'
import { TransportError } from '../../kube/errors.ts'
import type { WatchEvent } from '../../kube/transport.ts'
import type { ApiAnswer, ApiCall } from './call.ts'
import type { ApiHandler } from './audit/audit.ts'
import { requestInfo } from './request-info.ts'
import { failure } from './statuses.ts'

export type Fault =
  | { do: 'refuse'; status: 409 | 410 | 429 | 500 | 503; retryAfterSeconds?: number }
  | { do: 'cut'; late?: boolean; afterEvents?: number }
  | { do: 'close'; afterEvents: number }
  | { do: 'error'; code: number; afterEvents: number }
  | { do: 'stall'; afterEvents?: number }
  | { do: 'delay'; ms: number }
  | { do: 'replay' }
  | { do: 'stale' }

/** Which calls a knob spoils; what is left out matches all. */
export interface When {
  /** Verbs of the audit log: list, watch, get, create, update, patch, delete. */
  verbs?: readonly string[]
  /** Plural name: `pods`. */
  resource?: string
  /** That many calls, then never again; says nothing about `stale`, which is until it is turned back. */
  times?: number
  /** Of one caller, by user name. */
  user?: string
}

interface Knob {
  when: When
  fault: Fault
  left: number
}

export class Faults {
  readonly #knobs = new Set<Knob>()
  readonly #heal = new EventTarget()
  /** Calls that were spoiled. */
  spoiled = 0

  /** Answers the way to turn it back; calls it stalls go on then. The first knob that matches a call spoils it. */
  set(fault: Fault, when: When = {}): () => void {
    const knob = { when, fault, left: when.times ?? Infinity }
    this.#knobs.add(knob)
    return () => {
      this.#knobs.delete(knob)
      this.#heal.dispatchEvent(new Event('turned'))
    }
  }

  clear(): void {
    this.#knobs.clear()
    this.#heal.dispatchEvent(new Event('turned'))
  }

  /** The fault of this call, which uses it up by one. Staleness is no fault of one call. */
  take(call: ApiCall): Exclude<Fault, { do: 'stale' }> | undefined {
    for (const knob of this.#knobs) {
      const { fault } = knob
      if (fault.do === 'stale' || !matches(knob.when, call)) continue
      if ((knob.left -= 1) <= 0) this.#knobs.delete(knob)
      this.spoiled += 1
      return fault
    }
    return undefined
  }

  /** Whether reads of this kind are stale now. */
  isStale(call: ApiCall): boolean {
    return [...this.#knobs].some(({ when, fault }) => fault.do === 'stale' && matches(when, call))
  }

  /** Resolves when a knob is turned back, or the signal aborts. */
  turned(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#heal.removeEventListener('turned', done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      if (signal?.aborted) return resolve()
      this.#heal.addEventListener('turned', done)
      signal?.addEventListener('abort', done)
    })
  }
}

/** The handler, spoiled. A cut is thrown as a TransportError: the HTTP shell breaks the connection at it. */
export function faulty(env: Pick<Env, 'clock'>, api: ApiHandler, faults: Faults): ApiHandler {
  const lastReads = new Map<string, ApiAnswer>()

  async function answer(call: ApiCall): Promise<ApiAnswer> {
    const answered = await api.handle(call)
    if (call.method === 'GET' && 'body' in answered) lastReads.set(readKey(call), answered)
    return answered
  }

  return {
    async handle(call) {
      if (call.method === 'GET' && faults.isStale(call)) return stale(call)
      const fault = faults.take(call)
      switch (fault?.do) {
        case undefined:
          return held(await answer(call), call)
        case 'refuse':
          return refusal(fault)
        case 'cut':
          if (fault.late) await answer(call)
          if (isWatch(call)) return spoiledWatch(await answer(call), (events) => broken(events, fault, call))
          throw new TransportError('cut by a fault knob')
        case 'stall':
          if (isWatch(call)) return spoiledWatch(await answer(call), (events) => broken(events, fault, call))
          await faults.turned(call.signal)
          return answer(call)
        case 'close':
        case 'error':
          return spoiledWatch(await answer(call), (events) => broken(events, fault, call))
        case 'replay':
          return spoiledWatch(await answer(call), twice)
        case 'delay':
          return late(await answer(call), fault.ms, call)
      }
    },
  }

  /** What was answered last to the very same question; a watch that starts now says nothing until the knob is turned back. */
  async function stale(call: ApiCall): Promise<ApiAnswer> {
    faults.spoiled += 1
    return held(lastReads.get(readKey(call)) ?? (await answer(call)), call)
  }

  /** Every watch goes through here, because a knob may be turned while it is open. */
  function held(answered: ApiAnswer, call: ApiCall): ApiAnswer {
    return spoiledWatch(answered, async function* (events) {
      for await (const event of events) {
        while (faults.isStale(call) && !call.signal?.aborted) await faults.turned(call.signal)
        if (call.signal?.aborted) return
        yield event
      }
    })
  }

  async function* broken(
    events: AsyncIterable<WatchEvent>,
    fault: Extract<Fault, { afterEvents?: number }>,
    call: ApiCall,
  ): AsyncGenerator<WatchEvent> {
    let left = fault.afterEvents ?? 0
    if (left > 0) {
      for await (const event of events) {
        yield event
        if ((left -= 1) === 0) break
      }
    }
    if (call.signal?.aborted) return
    if (fault.do === 'cut') throw new TransportError('cut by a fault knob')
    if (fault.do === 'error')
      yield { type: 'ERROR', object: failure(fault.code, REASONS[fault.code] ?? 'InternalError', 'by a fault knob') }
    if (fault.do === 'stall' || fault.do === 'error') await aborted(call.signal)
  }

  /** It is as it was when it was asked for, though it comes later. */
  async function late(answered: ApiAnswer, ms: number, call: ApiCall): Promise<ApiAnswer> {
    await sleep(env.clock, ms, call.signal)
    return spoiledWatch(answered, async function* (events) {
      for await (const event of events) {
        await sleep(env.clock, ms, call.signal)
        yield event
      }
    })
  }
}

const REASONS: Record<number, string> = {
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

function refusal({ status, retryAfterSeconds }: Extract<Fault, { do: 'refuse' }>): ApiAnswer {
  const headers: Record<string, string> = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  return { status, headers, body: failure(status, REASONS[status]!, 'by a fault knob') }
}

function matches({ verbs, resource, user }: When, call: ApiCall): boolean {
  const { verb, object } = requestInfo(call.method, call.path, call.query)
  if (user !== undefined && user !== call.identity.user) return false
  return (verbs === undefined || verbs.includes(verb)) && (resource === undefined || resource === object?.resource)
}

function isWatch(call: ApiCall): boolean {
  return requestInfo(call.method, call.path, call.query).verb === 'watch'
}

function spoiledWatch(answer: ApiAnswer, spoil: (events: AsyncIterable<WatchEvent>) => AsyncIterable<WatchEvent>): ApiAnswer {
  return 'watch' in answer ? { ...answer, watch: spoil(answer.watch) } : answer
}

async function* twice(events: AsyncIterable<WatchEvent>): AsyncGenerator<WatchEvent> {
  for await (const event of events) {
    yield event
    yield event
  }
}

function readKey({ path, query }: ApiCall): string {
  return `${path}?${query.toString()}`
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => (signal?.aborted ? resolve() : signal?.addEventListener('abort', () => resolve(), { once: true })))
}
