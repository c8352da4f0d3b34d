import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../../kube/objects.ts'
import { labelKeyCauses } from './metadata-rules.ts'
import type { ServedKind } from './served-kinds.ts'
import { invalidValue, required, type Cause } from './statuses.ts'

type EventText = 'reportingComponent' | 'reportingInstance' | 'action' | 'reason' | 'message' | 'type'

/** In the stored form, core/v1. */
export type StoredEvent = KubeObject & {
  involvedObject?: { namespace?: string }
  eventTime?: string
  count?: number
  firstTimestamp?: string
  lastTimestamp?: string
  series?: { count?: number; lastObservedTime?: string }
} & Partial<Record<EventText, string>>

const LONGEST = { reportingInstance: 128, action: 128, reason: 128, message: 1024 } as const
const FIXED = (
  'involvedObject related reason message source firstTimestamp lastTimestamp count type eventTime action ' +
  'reportingComponent reportingInstance'
).split(' ')

/** What is wrong with an event. Through core/v1 little is asked, for old clients' sake; through events.k8s.io/v1 all. */
export function eventCauses(kind: ServedKind, event: StoredEvent, old: StoredEvent | undefined): Cause[] {
  const causes = [...placeCauses(event), ...(event.eventTime === undefined ? [] : reportCauses(kind, event))]
  if (kind.group === '') return causes
  return [...causes, ...(old ? changeCauses(event, old) : newEventCauses(event))]
}

function placeCauses({ metadata, involvedObject, eventTime }: StoredEvent): Cause[] {
  const about = involvedObject?.namespace ?? ''
  const isRight = about === '' ? metadata.namespace === 'default' : eventTime !== undefined || about === metadata.namespace
  return isRight ? [] : [invalidValue('involvedObject.namespace', about, 'does not match event.namespace')]
}

function reportCauses({ group }: ServedKind, event: StoredEvent): Cause[] {
  const missing = (['reportingComponent', 'reportingInstance', 'action', 'reason'] as const).filter((field) => !event[field])
  const tooLong = Object.entries(LONGEST).filter(([field, longest]) => Buffer.byteLength(event[field as EventText] ?? '') > longest)
  const shown = (field: string): string => (field === 'reportingComponent' && group !== '' ? 'reportingController' : field)
  return [
    ...missing.map((field) => required(shown(field))),
    ...labelKeyCauses(shown('reportingComponent'), event.reportingComponent ?? ''),
    ...tooLong.map(([field, longest]) => invalidValue(field, '', `can have at most ${longest} characters`)),
  ]
}

function newEventCauses(event: StoredEvent): Cause[] {
  const old = (['firstTimestamp', 'lastTimestamp', 'count'] as const).filter((field) => event[field])
  return [
    ...seriesCauses(event),
    ...(event.eventTime === undefined ? [required('eventTime')] : []),
    ...(event.type === 'Normal' || event.type === 'Warning' ? [] : [invalidValue('type', '', `has invalid value: ${event.type ?? ''}`)]),
    ...old.map((field) => invalidValue(field, '', 'needs to be unset')),
  ]
}

function seriesCauses({ series }: StoredEvent): Cause[] {
  if (series === undefined) return []
  return [
    ...((series.count ?? 0) < 2 ? [invalidValue('series.count', '', 'should be at least 2')] : []),
    ...(series.lastObservedTime ? [] : [required('series.lastObservedTime')]),
  ]
}

/** Only the series of an event may change. */
function changeCauses(event: StoredEvent, old: StoredEvent): Cause[] {
  const [now, before] = [event, old] as unknown as [Record<string, unknown>, Record<string, unknown>]
  const changed = FIXED.filter((field) => !isDeepStrictEqual(now[field], before[field]))
  const series = isDeepStrictEqual(event.series, old.series) ? [] : seriesCauses(event)
  const shown = (field: string): string => (field === 'reportingComponent' ? 'reportingController' : field)
  return [...series, ...changed.map((field) => invalidValue(shown(field), now[field], 'field is immutable'))]
}
