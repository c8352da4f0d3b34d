/** Adapter: what a part tells the process that started it, over Node's channel between them. Without one, nothing. */

/** The port at which it listens; that it can serve. */
export type Report = { listening: number } | { ready: true }

export function reportToParent(report: Report): void {
  process.send?.(report)
}

/** Calls `end` when the process that started this one is gone, however it went. */
export function onParentGone(end: () => void): void {
  if (process.channel === undefined || process.channel === null) return
  process.once('disconnect', end)
  process.channel.unref()
}
