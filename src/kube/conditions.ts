import { rfc3339Seconds } from '../env/clock.ts'
import type { Condition } from './objects.ts'

/**
 * The list with this condition set. `lastTransitionTime` moves only when the status flips; when nothing changed, the very
 * same list comes back, so that callers can tell.
 */
export function withCondition(
  conditions: readonly Condition[] | undefined,
  condition: Omit<Condition, 'lastTransitionTime'>,
  nowMs: number,
): Condition[] {
  const before = conditions?.find(({ type }) => type === condition.type)
  const lastTransitionTime = before?.status === condition.status ? before.lastTransitionTime : rfc3339Seconds(nowMs)
  const after: Condition = { ...condition, lastTransitionTime }
  if (before && isSame(before, after)) return conditions as Condition[]
  const others = (conditions ?? []).filter(({ type }) => type !== condition.type)
  const position = before ? conditions!.indexOf(before) : others.length
  return others.toSpliced(position, 0, after)
}

function isSame(a: Condition, b: Condition): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message && a.observedGeneration === b.observedGeneration
}
