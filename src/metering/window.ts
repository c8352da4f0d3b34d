/** The most of the last while, in the few readings that can still matter: pure, bounded by time and not by rate of reading. */

export interface WindowEntry {
  atMs: number
  bytes: number
}

/** Two neighbours' neighbours are at least so far apart, which bounds a window that only falls. */
const SPACING_MS = 1000

/**
 * The window with one entry more, of the latest time. What is older and not greater can never be the most again. Of three
 * within a second the middle one goes: the most of the window is then too low, for at most a second, and never too high.
 */
export function addToWindow(window: readonly WindowEntry[], entry: WindowEntry): WindowEntry[] {
  const greater = window.filter(({ bytes }) => bytes > entry.bytes)
  const before = greater.at(-2)
  const kept = before !== undefined && entry.atMs - before.atMs < SPACING_MS ? greater.slice(0, -1) : greater
  return [...kept, entry]
}

/** The most of the entries at or after `sinceMs`; 0 where there is none. */
export function mostSince(window: readonly WindowEntry[], sinceMs: number): number {
  return window.find(({ atMs }) => atMs >= sinceMs)?.bytes ?? 0 // greatest first
}
