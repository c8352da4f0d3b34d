import type { KubeObject } from '../../../kube/objects.ts'
import type { WatchEvent } from '../../../kube/transport.ts'
import type { Cell, TableColumn } from './columns.ts'

/** What a row carries of its object: `includeObject` of the query. The client's default, and the server's, is Metadata. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** meta.k8s.io/v1 Table: rows as the server would have them shown. */
export interface Table {
  kind: 'Table'
  apiVersion: 'meta.k8s.io/v1'
  metadata: ListMeta
  columnDefinitions?: { name: string; type: string; format: string; description: string; priority: number }[]
  rows: { cells: Cell[]; object: object | null }[]
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

/** A list's own; of a single object only its version. */
function listMetaOf(body: KubeObject | ObjectList): ListMeta {
  return 'items' in body ? body.metadata : { resourceVersion: body.metadata.resourceVersion ?? '' }
}

function included(object: KubeObject, how: IncludeObject): object | null {
  if (how === 'None') return null
  return how === 'Object' ? object : metadataOnly(object)
}
