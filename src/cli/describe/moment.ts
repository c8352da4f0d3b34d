import { shownDuration } from '../duration.ts'

/** `2026-11-24T07:59:00Z, 60s ago` or `…, in 7h59m`. Undefined for what has no time, or none that can be read. */
export function moment(time: string | undefined, nowMs: number): string | undefined {
  const atMs = Date.parse(time ?? '')
  if (Number.isNaN(atMs)) return undefined
  return `${time}, ${atMs > nowMs ? `in ${shownDuration(atMs - nowMs)}` : `${shownDuration(nowMs - atMs)} ago`}`
}

/** Between two moments, to the millisecond where both have them: `0.412 s`. */
export function between(from: string | undefined, until: string | undefined): string | undefined {
  const ms = Date.parse(until ?? '') - Date.parse(from ?? '')
  if (Number.isNaN(ms) || ms < 0) return undefined
  return ms < 120_000 ? `${ms / 1_000} s` : shownDuration(ms)
}
