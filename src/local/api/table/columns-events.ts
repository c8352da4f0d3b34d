import type { KubeObject } from '../../../kube/objects.ts'
import { ageOf } from './age.ts'
import type { Loose, TableColumn } from './columns.ts'

/**
 * What `kubectl get events` shows. The two APIs of events name the same things differently: core/v1 on the left of each
 * `??`, events.k8s.io/v1 on the right.
 */
export const eventColumns: readonly TableColumn[] = [
  { name: 'Last Seen', type: 'string', cell: (object, nowMs) => ageOf(lastSeen(event(object)), nowMs) },
  { name: 'Type', type: 'string', cell: (object) => event(object).type ?? '' },
  { name: 'Reason', type: 'string', cell: (object) => event(object).reason ?? '' },
  { name: 'Object', type: 'string', cell: (object) => aboutOf(event(object)) },
  { name: 'Subobject', type: 'string', priority: 1, cell: (object) => about(event(object))?.fieldPath ?? '' },
  { name: 'Source', type: 'string', priority: 1, cell: (object) => sourceOf(event(object)) },
  { name: 'Message', type: 'string', cell: (object) => String(event(object).message ?? event(object).note ?? '').trim() },
  { name: 'First Seen', type: 'string', priority: 1, cell: (object, nowMs) => ageOf(firstSeen(event(object)), nowMs) },
  { name: 'Count', type: 'integer', priority: 1, cell: (object) => countOf(event(object)) },
  { name: 'Name', type: 'string', format: 'name', priority: 1, cell: (object) => object.metadata.name },
]

const event = (object: KubeObject): Loose => object as Loose
const about = (of: Loose): { kind?: string; name?: string; fieldPath?: string } | undefined => of.involvedObject ?? of.regarding

function aboutOf(of: Loose): string {
  const { kind = '', name = '' } = about(of) ?? {}
  return name === '' ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`
}

function firstSeen(of: Loose): unknown {
  return of.firstTimestamp ?? of.deprecatedFirstTimestamp ?? of.eventTime ?? undefined
}

function lastSeen(of: Loose): unknown {
  return of.series?.lastObservedTime ?? of.lastTimestamp ?? of.deprecatedLastTimestamp ?? firstSeen(of)
}

function countOf(of: Loose): number {
  return Number(of.series?.count ?? of.count ?? of.deprecatedCount ?? 1) || 1
}

function sourceOf(of: Loose): string {
  const source = of.source ?? of.deprecatedSource
  const component = source?.component || of.reportingComponent || of.reportingController || ''
  const host = source?.host || of.reportingInstance || ''
  return host === '' ? component : `${component}, ${host}`
}
