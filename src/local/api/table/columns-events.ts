import type { KubeObject } from '../../../kube/objects.ts'
import { ageOf } from './age.ts'
import type { TableColumn } from './column.ts'
import { compileJsonPath } from './json-path.ts'

/** The value at the first path that has one. */
function first(...paths: string[]): (object: KubeObject) => unknown {
  const finds = paths.map(compileJsonPath)
  return (object) => finds.flatMap((find) => find(object)).find((value) => value !== '')
}

const textAt = (...paths: string[]): ((object: KubeObject) => string) => {
  const find = first(...paths)
  return (object) => {
    const value = find(object)
    return typeof value === 'string' ? value.trim() : ''
  }
}

/*
 * The two APIs of events name the same things differently: core/v1 comes first in each list of paths, events.k8s.io/v1
 * after it.
 */
const kindAt = textAt('.involvedObject.kind', '.regarding.kind')
const nameAt = textAt('.involvedObject.name', '.regarding.name')
const componentAt = textAt('.source.component', '.deprecatedSource.component', '.reportingComponent', '.reportingController')
const hostAt = textAt('.source.host', '.deprecatedSource.host', '.reportingInstance')
const FIRST_SEEN = ['.firstTimestamp', '.deprecatedFirstTimestamp', '.eventTime']
const firstSeen = first(...FIRST_SEEN)
const lastSeen = first('.series.lastObservedTime', '.lastTimestamp', '.deprecatedLastTimestamp', ...FIRST_SEEN)
const countAt = first('.series.count', '.count', '.deprecatedCount')

/** What `kubectl get events` shows. */
export const eventColumns: readonly TableColumn[] = [
  { name: 'Last Seen', type: 'string', cell: (event, nowMs) => ageOf(lastSeen(event), nowMs) },
  { name: 'Type', type: 'string', cell: textAt('.type') },
  { name: 'Reason', type: 'string', cell: textAt('.reason') },
  { name: 'Object', type: 'string', cell: (event) => [kindAt(event).toLowerCase(), nameAt(event)].filter(Boolean).join('/') },
  { name: 'Subobject', type: 'string', priority: 1, cell: textAt('.involvedObject.fieldPath', '.regarding.fieldPath') },
  { name: 'Source', type: 'string', priority: 1, cell: (event) => [componentAt(event), hostAt(event)].filter(Boolean).join(', ') },
  { name: 'Message', type: 'string', cell: textAt('.message', '.note') },
  { name: 'First Seen', type: 'string', priority: 1, cell: (event, nowMs) => ageOf(firstSeen(event), nowMs) },
  { name: 'Count', type: 'string', priority: 1, cell: (event) => Number(countAt(event)) || 1 },
  { name: 'Name', type: 'string', format: 'name', priority: 1, cell: (event) => event.metadata.name },
]
