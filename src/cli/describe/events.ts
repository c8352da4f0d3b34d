import type { Transport } from '../../kube/transport.ts'
import { KubeClient } from '../../kube/client.ts'
import { ApiError } from '../../kube/errors.ts'
import { EVENTS, type KubeEvent } from '../../kube/events.ts'
import { shownDuration } from '../duration.ts'
import { table, type Column } from '../table.ts'
import { shownLine } from '../logs/line.ts'

/** One thing that happened, however often. */
export interface Told {
  /** Epoch ms of the last time. */
  atMs: number
  type: string
  reason: string
  /** `AgentSession`, `Pod`, ... */
  of: string
  by: string
  note: string
  count: number
}

/** Events that the API server still has of these objects, oldest first; or why they are not shown. */
export type Events = { told: readonly Told[] } | { unknown: string }

/** As both kinds of recorder fill it: kubelet and scheduler write the older form, which is served as this one too. */
interface AnyEvent extends KubeEvent {
  deprecatedLastTimestamp?: string
  deprecatedCount?: number
  deprecatedSource?: { component?: string }
}

export async function eventsOf(kubernetes: Transport, namespace: string, uids: readonly (string | undefined)[]): Promise<Events> {
  const client = new KubeClient(kubernetes)
  const wanted = uids.filter((uid) => uid !== undefined)
  try {
    const lists = await Promise.all(wanted.map((uid) => client.list(EVENTS, { namespace, fieldSelector: `regarding.uid=${uid}` })))
    return { told: lists.flatMap(({ items }) => items.map(toldBy)).toSorted((a, b) => a.atMs - b.atMs) }
  } catch (error) {
    if (error instanceof ApiError && error.status === 403)
      return { unknown: 'not shown: you have no right to list events (events.k8s.io) here' }
    return { unknown: shownLine(`not shown: ${(error as Error).message}`) }
  }
}

function toldBy(event: KubeEvent): Told {
  const { deprecatedLastTimestamp, deprecatedCount, deprecatedSource, series, eventTime, metadata, ...rest } = event as AnyEvent
  const at = series?.lastObservedTime ?? (eventTime || deprecatedLastTimestamp) ?? metadata.creationTimestamp ?? ''
  return {
    atMs: Date.parse(at) || 0,
    type: rest.type,
    reason: rest.reason,
    of: rest.regarding.kind,
    by: rest.reportingController || (deprecatedSource?.component ?? ''),
    note: rest.note ?? '',
    count: series?.count ?? deprecatedCount ?? 1,
  }
}

const MOST_SHOWN = 25

export function eventLines(events: Events, nowMs: number, style: { colour: boolean; columns: number | undefined }): string[] {
  if ('unknown' in events) return [events.unknown]
  if (events.told.length === 0) return ['none: the API server keeps them for an hour']
  const shown = events.told.slice(-MOST_SHOWN)
  const left = events.told.length - shown.length
  return [...(left > 0 ? [`… ${left} older ones`] : []), ...table(columnsAt(nowMs), shown, style)]
}

function columnsAt(nowMs: number): Column<Told>[] {
  return [
    { title: 'AGO', cell: ({ atMs }) => (atMs === 0 ? '' : shownDuration(nowMs - atMs)), align: 'right' },
    { title: 'OF', cell: ({ of }) => of },
    { title: 'REASON', cell: ({ reason }) => reason, tone: ({ type }) => (type === 'Warning' ? 'bad' : undefined) },
    { title: 'BY', cell: ({ by }) => by },
    { title: 'WHAT', cell: ({ note, count }) => `${shownLine(note.replaceAll('\n', ' · '))}${count > 1 ? ` (${count} times)` : ''}` },
  ]
}
