/**
 * Time as a port. Every process reads time, and waits, only through the Clock of its Env (design rule 9), so that a
 * test can run operator, gateway and API server on one virtual clock.
 */
export interface Clock {
  /** Wall time in milliseconds since the epoch. For stamps that people read; never for measuring durations. */
  now(): number
  /** Milliseconds from an arbitrary start; never jumps. For deadlines and durations. */
  monotonic(): number
  /** Calls `run` once, `delayMs` from now (0 = as soon as possible, never synchronously). */
  after(delayMs: number, run: () => void): Timer
}

export interface Timer {
  /** Idempotent; after it, `run` is not called. */
  cancel(): void
}

/** Resolves after `delayMs`, or early (without throwing) when `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, done)
    function done(): void {
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** `2026-11-24T08:00:00.123Z`: our own status fields, which keep milliseconds. */
export function rfc3339Millis(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/** `2026-11-24T08:00:00Z`: Kubernetes' metav1.Time (whole seconds, rounded down). */
export function rfc3339Seconds(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19) + 'Z'
}

/** `2026-11-24T08:00:00.123000Z`: metav1.MicroTime; the API server demands exactly six digits. */
export function rfc3339Micros(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 23) + '000Z'
}
