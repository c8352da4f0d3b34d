/**
 * Who is in use, and until when: the fence between gateways and reaper (design rule 5). Implementations run on the
 * store's own clock, so answers are remaining durations, never instants.
 *
 * A pod's deadline is the later of (last activity + idle) and, for each holder (a gateway, or the operator on behalf
 * of a HealthyBusy agent) that has it open, (its last stamp + OPEN_LEASE_MS). A holder that dies therefore stops counting by itself.
 */
export interface Activity {
  /**
   * Records the use of pods by one holder, all in one step. `open: true` says that something is open on the pod right
   * now and holds it until the next stamp; `open: false` that nothing has been for `agoMs` (its deadline is exactly
   * idleMs after that moment, unless others hold it). An unknown pod gets a full idle window. A closed one answers
   * `closed` and stays closed. `remainingMs` is how long this holder may rely on it, whatever others do.
   */
  stamp(holder: string, stamps: readonly Stamp[]): Promise<StampAnswer[]>
  /**
   * Closes a pod to new calls, only if its deadline has passed; for ever. Idempotent: closing a closed pod succeeds. A pod
   * that the store does not know gets a full idle window instead.
   */
  close(podUID: string, idleMs: number): Promise<CloseAnswer>
  /** Whether anybody but `otherThan` holds the pod open right now. */
  isHeld(podUID: string, otherThan: string): Promise<boolean>
  /** Starts a full idle window for a pod that the store does not know yet; leaves a known one as it is. */
  register(podUID: string, idleMs: number): Promise<void>
  /** Removes all trace of pods that are gone. */
  forget(podUIDs: readonly string[]): Promise<void>
}

export interface Stamp {
  podUID: string
  idleMs: number
  open: boolean
  /** With open false: how long ago the last activity ended. Default 0. */
  agoMs?: number
}

export type CloseAnswer = { closed: true } | { closed: false; remainingMs: number }

export type StampAnswer = { podUID: string; closed: true } | { podUID: string; closed: false; remainingMs: number }

/** How long an `open` stamp holds a pod by itself. Gateways stamp open pods every second. */
export const OPEN_LEASE_MS = 3_000
