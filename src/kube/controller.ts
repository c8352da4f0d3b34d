import type { Env } from '../env/env.ts'
import { ApiError } from './errors.ts'
import type { KubeObject } from './objects.ts'
import { keyOf, type Store } from './store.ts'
import type { WorkQueue } from './workqueue.ts'

/** What a reconcile says: nothing more to do until something changes, or look again then. */
export type Outcome = { done: true } | { againAfterMs: number }

export const DONE: Outcome = { done: true }

export function again(afterMs: number): Outcome {
  return { againAfterMs: afterMs }
}

/** How a reconcile ended; `conflict`: it lost a compare-and-set. */
export type ReconcileResult = 'done' | 'again' | 'conflict' | 'error'

export interface ControllerObserver {
  reconciled(controller: string, result: ReconcileResult, ms: number): void
}

/**
 * Level-based reconciliation: key in, converge, done. A throw is a retry after the key's backoff (or the server's
 * Retry-After). Resolves when the signal has aborted and running reconciles have ended.
 */
export async function runController(
  options: {
    env: Env
    name: string
    queue: WorkQueue
    workers?: number
    observer?: ControllerObserver | undefined
    reconcile: (key: string) => Promise<Outcome>
  },
  signal: AbortSignal,
): Promise<void> {
  const { env, name, queue, workers = 1, observer, reconcile } = options

  async function work(): Promise<void> {
    for (let key = await queue.get(signal); key !== undefined; key = await queue.get(signal)) {
      const beganAtMs = env.clock.monotonic()
      const result = await workOn(key)
      observer?.reconciled(name, result, env.clock.monotonic() - beganAtMs)
      queue.done(key)
    }
  }

  async function workOn(key: string): Promise<ReconcileResult> {
    try {
      const outcome = await reconcile(key)
      queue.forget(key)
      if (!('againAfterMs' in outcome)) return 'done'
      queue.addAfter(key, outcome.againAfterMs)
      return 'again'
    } catch (error) {
      const retryAfterMs = error instanceof ApiError ? error.retryAfterMs : undefined
      const lostRace = error instanceof ApiError && error.status === 409
      logFailure(key, error, lostRace)
      if (retryAfterMs === undefined) queue.addBackedOff(key)
      else queue.addAfter(key, retryAfterMs)
      return lostRace ? 'conflict' : 'error'
    }
  }

  /** A lost compare-and-set is everyday life: the next look sees the newer object. */
  function logFailure(key: string, error: unknown, lostRace: boolean): void {
    if (lostRace) env.log.debug({ controller: name, key, err: error }, 'reconcile lost a race; it looks again')
    else env.log.warn({ controller: name, key, err: error }, 'reconcile failed; it will be tried again')
  }

  await Promise.all(Array.from({ length: workers }, work))
  queue.stop()
}

/** Every change of the store enqueues its keys; what is there already is enqueued now. Answers the way to stop. */
export function enqueueOn<T extends KubeObject>(
  store: Store<T>,
  queue: WorkQueue,
  keysOf: (object: T) => readonly string[] = (object) => [keyOf(object)],
): () => void {
  for (const object of store.list()) for (const key of keysOf(object)) queue.add(key)
  return store.subscribe((change) => {
    for (const key of keysOf(change.object)) queue.add(key)
  })
}
