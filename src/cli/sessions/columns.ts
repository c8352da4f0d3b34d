import { shownDuration } from '../duration.ts'
import type { Column } from '../table.ts'
import { shortened } from '../text.ts'
import { textOf } from '../../metering/amount.ts'
import { activityOf, phaseOf, type SessionRow } from './row.ts'

export interface View {
  allNamespaces: boolean
  wide: boolean
  nowMs: number
}

export function sessionColumns({ allNamespaces, wide, nowMs }: View): Column<SessionRow>[] {
  const when = (time: string | undefined, shown: (ms: number) => string): string =>
    time === undefined || Number.isNaN(Date.parse(time)) ? '' : shown(Date.parse(time) - nowMs)
  const amount = (of: 'cpuSeconds' | 'memoryPeakGBSeconds' | 'memoryInUseGBSeconds') => ({
    align: 'right' as const,
    cell: ({ used }: SessionRow): string => (used === undefined ? '' : textOf(used[of])),
  })
  const narrow = (column: Column<SessionRow>): Column<SessionRow>[] => (wide ? [] : [column])
  const onlyWide = (...columns: Column<SessionRow>[]): Column<SessionRow>[] => (wide ? columns : [])
  return [
    ...(allNamespaces ? [{ title: 'NAMESPACE', cell: ({ session }: SessionRow) => session.metadata.namespace ?? '' }] : []),
    { title: 'SESSION', cell: ({ session }) => (wide ? session.spec.sessionId : shortened(session.spec.sessionId)) },
    { title: 'RUNTIME', cell: ({ session }) => session.spec.runtimeRef.name },
    { title: 'OWNER', cell: ({ session }) => session.spec.owner.subject },
    {
      title: 'PHASE',
      cell: ({ session }) => phaseOf(session),
      tone: ({ session }) => (phaseOf(session) === 'Terminated' ? 'faint' : undefined),
    },
    { title: 'ACTIVITY', cell: ({ use }) => activityCell(use), tone: ({ use }) => (use?.state === 'active' ? 'good' : undefined) },
    { title: 'SINCE', cell: ({ session }) => when(session.status?.startedAt, (ms) => shownDuration(-ms)) },
    { title: 'EXPIRES', cell: ({ session }) => (phaseOf(session) === 'Terminated' ? '' : when(session.status?.expiresAt, shownDuration)) },
    { title: 'CPU-S', ...amount('cpuSeconds') },
    ...narrow({ title: 'GB-S', ...amount('memoryPeakGBSeconds') }),
    ...onlyWide({ title: 'GB-S PEAK', ...amount('memoryPeakGBSeconds') }, { title: 'GB-S IN USE', ...amount('memoryInUseGBSeconds') }),
    {
      title: 'END',
      cell: ({ session }) =>
        endCell(
          session.status?.endReason,
          when(session.status?.endedAt, (ms) => shownDuration(-ms)),
        ),
      tone: ({ session }) => (/Failed|Lost|Unhealthy|Exited/.test(session.status?.endReason ?? '') ? 'bad' : undefined),
    },
    ...onlyWide(
      { title: 'ENDPOINT', cell: ({ session }) => session.spec.endpoint },
      { title: 'VERSION', cell: ({ session }) => String(session.status?.version ?? '') },
      { title: 'POD', cell: ({ session }) => session.status?.podName ?? '' },
      { title: 'ISSUER', cell: ({ session }) => session.spec.owner.issuer },
      { title: 'MESSAGE', cell: ({ session }) => session.status?.endMessage ?? '' },
    ),
  ]
}

function activityCell(use: SessionRow['use']): string {
  if (use === undefined) return ''
  return use.idleForMs === undefined ? activityOf(use) : `${activityOf(use)} ${shownDuration(use.idleForMs)}`
}

function endCell(reason: string | undefined, ago: string): string {
  return reason === undefined ? '' : ago === '' ? reason : `${reason} ${ago} ago`
}
