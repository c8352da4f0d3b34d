import type { KubeObject, Pod } from '../../../kube/objects.ts'
import type { WatchEvent } from '../../../kube/transport.ts'
import type { Cell, TableColumn } from './column.ts'

/** What a row carries of its object: `includeObject` of the query. The client's default, and the server's, is Metadata. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** meta.k8s.io/v1 Table: rows as the server would have them shown. */
export interface Table {
  kind: 'Table'
  apiVersion: 'meta.k8s.io/v1'
  metadata: ListMeta
  columnDefinitions?: { name: string; type: string; format: string; description: string; priority: number }[]
  rows: { cells: Cell[]; conditions?: object[]; object: object | null }[]
}

interface Printed {
  columns: readonly TableColumn[]
  includeObject: IncludeObject
  nowMs: number
}

/** A list, or one object, as a Table. */
export function tableOf(body: KubeObject | ObjectList, printed: Printed): Table {
  const items = 'items' in body ? body.items : [body]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMetaOf(body),
    columnDefinitions: printed.columns.map((column) => ({
      name: column.name,
      type: column.type,
      format: column.format ?? '',
      description: column.description ?? '',
      priority: column.priority ?? 0,
    })),
    rows: items.map((object) => ({
      cells: printed.columns.map((column) => column.cell(object, printed.nowMs)),
      ...conditionsOf(object),
      object: included(object, printed.includeObject),
    })),
  }
}

export interface ListMeta {
  resourceVersion?: string
  /** Where the next page begins. */
  continue?: string
  remainingItemCount?: number
}

export interface ObjectList {
  metadata: ListMeta
  items: KubeObject[]
}

export interface TableEvent {
  type: WatchEvent['type']
  object: object
}

/** A watch whose events carry one-row Tables; only the first one repeats the column definitions, as the real server's. */
export async function* tableEvents(events: AsyncIterable<WatchEvent>, print: () => Printed): AsyncGenerator<TableEvent> {
  let isFirst = true
  for await (const { type, object } of events) {
    if (type === 'ERROR') {
      yield { type, object }
      continue
    }
    const table = tableOf(object, print())
    if (type === 'BOOKMARK') table.rows = []
    if (!isFirst) delete table.columnDefinitions
    isFirst = false
    yield { type, object: table }
  }
}

/** Only who an object is: meta.k8s.io/v1 PartialObjectMetadata. */
export function metadataOnly(object: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}

export function metadataList(list: ObjectList): object {
  return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata: list.metadata, items: list.items.map(metadataOnly) }
}

const COMPLETED: Record<string, string> = { Succeeded: 'The pod has completed successfully.', Failed: 'The pod failed.' }

/** Of a pod that is over, so that clients may leave it out. */
function conditionsOf(object: KubeObject): { conditions?: object[] } {
  const phase = object.kind === 'Pod' ? ((object as Pod).status?.phase ?? '') : ''
  const message = COMPLETED[phase]
  return message === undefined ? {} : { conditions: [{ type: 'Completed', status: 'True', reason: phase, message }] }
}

/** A list's own; of a single object only its version. */
function listMetaOf(body: KubeObject | ObjectList): ListMeta {
  if ('items' in body) {
    const { continue: token, ...metadata } = body.metadata
    return { ...metadata, ...(token ? { continue: token } : {}) }
  }
  return { resourceVersion: body.metadata.resourceVersion ?? '' }
}

function included(object: KubeObject, how: IncludeObject): object | null {
  if (how === 'None') return null
  return how === 'Object' ? object : metadataOnly(object)
}
