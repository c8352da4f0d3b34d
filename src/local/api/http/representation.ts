import type { KubeObject } from '../../../kube/objects.ts'
import type { WatchEvent } from '../../../kube/transport.ts'
import type { ApiAnswer, ApiCall } from '../call.ts'
import type { FacedKind } from '../faces.ts'
import { requestInfo } from '../request-info.ts'
import { columnsOf } from '../table/columns.ts'
import { metadataList, metadataOnly, tableEvents, tableOf } from '../table/table.ts'
import type { IncludeObject, ObjectList } from '../table/table.ts'
import type { Representation } from './media-types.ts'

/** The answer's objects as the client wants them shown: themselves, rows of a table, or their metadata only. */
export function represent(
  answer: ApiAnswer,
  wanted: Representation,
  call: Pick<ApiCall, 'method' | 'path' | 'query'>,
  kinds: readonly FacedKind[],
  now: () => number,
): ApiAnswer | TableWatch {
  const kind = wanted === 'json' || answer.status >= 300 ? undefined : kindOf(call, kinds)
  if (kind === undefined || 'text' in answer) return answer
  const columns = columnsOf(kind)
  const includeObject = includeOf(call.query)
  const print = () => ({ columns, includeObject, nowMs: now() })
  if ('watch' in answer) {
    return { ...answer, watch: wanted === 'table' ? tableEvents(answer.watch, print) : metadataEvents(answer.watch) }
  }
  const body = answer.body as ObjectList | KubeObject
  if (!('items' in body) && body.kind !== kind.kind) return answer
  if (wanted === 'table') return { ...answer, body: tableOf(body, print()) }
  return { ...answer, body: 'items' in body ? metadataList(body) : metadataOnly(body) }
}

/** A watch whose objects are no objects of the API any more. */
export interface TableWatch {
  status: 200
  headers?: Record<string, string>
  watch: AsyncIterable<{ type: WatchEvent['type']; object: object }>
}

function kindOf(call: Pick<ApiCall, 'method' | 'path' | 'query'>, kinds: readonly FacedKind[]): FacedKind | undefined {
  const { object } = requestInfo(call.method, call.path, call.query)
  return kinds.find((kind) => kind.group === object?.group && kind.version === object.version && kind.plural === object.resource)
}

function includeOf(query: URLSearchParams): IncludeObject {
  const asked = query.get('includeObject')
  return asked === 'None' || asked === 'Object' ? asked : 'Metadata'
}

async function* metadataEvents(events: AsyncIterable<WatchEvent>): TableWatch['watch'] {
  for await (const { type, object } of events) yield { type, object: type === 'ERROR' ? object : metadataOnly(object) }
}
