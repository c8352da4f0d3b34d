import { withCondition } from '../../kube/conditions.ts'
import type { Condition } from '../../kube/objects.ts'

/**
 * Condition of a session whose pod cannot be measured: it has no usage, and this says why. There is none as long as all is well;
 * once it was there, it says so when figures come.
 *
 * `notVisible`: why, undefined when there are figures. The very same list comes back when nothing changed.
 */
export function conditionsWithMetered(
  conditions: Condition[] | undefined,
  notVisible: string | undefined,
  nowMs: number,
): Condition[] | undefined {
  if (notVisible !== undefined)
    return withCondition(conditions, { type: 'Metered', status: 'False', reason: 'NotVisible', message: notVisible }, nowMs)
  if (!conditions?.some(({ type }) => type === 'Metered')) return conditions
  return withCondition(
    conditions,
    { type: 'Metered', status: 'True', reason: 'Measured', message: 'status.usage tells what was used' },
    nowMs,
  )
}
