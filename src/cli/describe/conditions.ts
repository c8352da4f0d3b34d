import type { Condition } from '../../kube/objects.ts'
import { shownDuration } from '../duration.ts'
import { shownLine } from '../logs/line.ts'
import { table, type Column } from '../table.ts'

export function conditionLines(
  conditions: readonly Condition[] | undefined,
  nowMs: number,
  style: { colour: boolean; columns: number | undefined },
): string[] {
  if (!conditions?.length) return []
  const columns: Column<Condition>[] = [
    { title: 'TYPE', cell: ({ type }) => type },
    { title: 'STATUS', cell: ({ status }) => status, tone: ({ status }) => (status === 'False' ? 'bad' : undefined) },
    { title: 'SINCE', cell: ({ lastTransitionTime }) => shownDuration(nowMs - (Date.parse(lastTransitionTime) || nowMs)) },
    { title: 'REASON', cell: ({ reason }) => reason },
    // Of an agent that failed it carries the log lines too: those have a place of their own.
    { title: 'MESSAGE', cell: ({ message }) => shownLine(message.split('\n')[0]!) },
  ]
  return table(columns, conditions, style)
}
