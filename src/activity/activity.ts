/**
 * Who is in use, and until when: the fence between gateways and reaper (design rule 5). Implementations run on the
 * store's own clock, so answers are remaining durations, never instants.
 *
 * A pod's deadline is the later of (last activity + idle) and, for each holder (a gateway, or the operator on behalf
 * of a HealthyBusy agent) that has it open, (its last stamp + OPEN_LEASE_MS). A holder that dies therefore stops counting by itself.
 *
 * Every call rejects with `ActivityUnavailableError` (or the transport's own error) when the store does not answer. Whether
 * the call then took effect is unknown; each may be sent again.
 */
export interface Activity {
  /**
   * The holder's heartbeat together with all that it has to tell, in one step: every pod that it has open, and every
   * release that it has not told yet. `stamp(holder, [])` says that it has nothing open. A pod closes only while the named
   * holders have been heard of (`close`), and hearing of a holder means that everything it has open is known: so never
   * send a part by this, but by `touch`.
   */
  stamp(holder: string, stamps: readonly Stamp[]): Promise<StampAnswer[]>
  /**
   * Records the use of one pod, and is no heartbeat. `open: true` says that something is open on the pod right now and
   * holds it until the next stamp; `open: false` that nothing has been for `agoMs` (its deadline is exactly idleMs after that
   * moment, unless others hold it). An unknown pod gets a full idle window. A closed one answers `closed` and stays closed.
   * `remainingMs` is how long this holder may rely on it, whatever others do.
   */
  touch(holder: string, stamp: Stamp): Promise<StampAnswer>
  /**
   * Closes a pod to new calls, for ever, only if its deadline has passed and each of `mustHaveBeenHeard` (the gateways that
   * hold a Lease) sent its heartbeat within the last HEARD_MS. Idempotent: closing a closed pod succeeds. A pod that the
   * store does not know gets a full idle window instead. So after the store was emptied nothing closes before a full
   * window has passed and every gateway has stamped again.
   */
  close(podUID: string, idleMs: number, mustHaveBeenHeard: readonly string[]): Promise<CloseAnswer>
  /** Whether anybody but `otherThan` holds the pod open right now. */
  isHeld(podUID: string, otherThan: string): Promise<boolean>
  /** Starts a full idle window for a pod that the store does not know yet; leaves a known one as it is. */
  register(podUID: string, idleMs: number): Promise<void>
  /** What is known of each pod now, in their order, for people to see: changes nothing, and decides nothing. */
  look(podUIDs: readonly string[]): Promise<Look[]>
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

/** `remainingMs`: ask again then, not before. `waitingFor`: the deadline has passed, and these holders were not heard of. */
export type CloseAnswer = { closed: true } | { closed: false; remainingMs: number; waitingFor?: string[] }

export type StampAnswer = { podUID: string; closed: true } | { podUID: string; closed: false; remainingMs: number }

/**
 * `active`: somebody holds it open. `idle`: nobody has since `idleForMs`, and it may close in `remainingMs` (0: at any moment,
 * or it has closed). `unknown`: the store has not heard of it (yet, or since it was emptied).
 */
export type Look =
  | { podUID: string; state: 'active' }
  | { podUID: string; state: 'idle'; idleForMs: number; remainingMs: number }
  | { podUID: string; state: 'unknown' }

/** How long an `open` stamp holds a pod by itself. Gateways stamp open pods every second. */
export const OPEN_LEASE_MS = 3_000
/**
 * How long a heartbeat counts. Not longer than OPEN_LEASE_MS, so that while a gateway counts as heard, everything that it
 * had open at its heartbeat is still held, however the store's clock may jump.
 */
export const HEARD_MS = 3_000
/** A close that waits for nothing but holders is tried again after this. */
export const UNHEARD_RETRY_MS = 500
/** An entry this long past its deadline belongs to no session; a closed one outlives whatever a gateway still believes. */
export const FORGET_AFTER_MS = 3_600_000
