/** Plays a trace on one API server, in a namespace that is empty before and after, and records what it answered. */
import type { KubeObject } from '../../src/kube/objects.ts'
import type { ApiResponse, WatchEvent } from '../../src/kube/transport.ts'
import { KINDS, collectionPath, type TraceKind } from './kinds.ts'
import { Memory } from './memory.ts'
import type { List, Operation, Trace, Watch } from './operation.ts'
import { freshOf, kindOf, requestOf, watchOf, type Place } from './requests.ts'
import { SELECTORS } from './selectors.ts'
import type { OpenedWatch, Side } from './side.ts'

/** What came of one operation. */
export type Outcome =
  | { answers: Answer[] }
  /** A watch: what it brought until the end of the trace. */
  | { answers: Answer[]; events: readonly WatchEvent[]; isComplete: boolean }

export interface Answer {
  status: number
  body: unknown
}

const CLIENTS = 3
const MARK = 'differential.carrel.dev/mark'
/** A watch that is silent this long, on a machine that is busy, has lost its last event. */
const LAST_EVENT_WITHIN_MS = 10_000

interface FollowedWatch {
  operation: Watch
  index: number
  opened: OpenedWatch
}

export async function play(trace: Trace, side: Side, namespace: string): Promise<Outcome[]> {
  const memories = Array.from({ length: CLIENTS }, () => new Memory())
  const outcomes: Outcome[] = []
  const watches: FollowedWatch[] = []
  for (const [index, operation] of trace.operations.entries()) {
    const place: Place = { namespace, kinds: trace.kinds, memory: memories[operation.client % CLIENTS]! }
    if (operation.verb === 'watch') outcomes.push(await startWatch(operation, index, place, side, watches))
    else if (operation.verb === 'list') outcomes.push({ answers: await pages(operation, place, side) })
    else outcomes.push({ answers: [await answerTo(operation, place, side)] })
  }
  await empty(trace, side, namespace)
  await finish(watches, trace, side, namespace, outcomes)
  return outcomes
}

async function answerTo(operation: Exclude<Operation, Watch>, place: Place, side: Side): Promise<Answer> {
  const { status, body } = await side.request(requestOf(operation, place))
  if (status < 300) remember(body, kindOf(place, operation), place.memory)
  return { status, body }
}

/** A list with all its pages, at one go: what is between two pages differs on purpose. */
async function pages(operation: List, place: Place, side: Side): Promise<Answer[]> {
  const kind = kindOf(place, operation)
  if (operation.from === 'zero') await freshen(kind, side, place.namespace)
  const request = requestOf(operation, place)
  const answers: Answer[] = []
  let token: string | undefined
  do {
    const { resourceVersion: _first, ...later } = request.query!
    const answer: ApiResponse = await side.request(token === undefined ? request : { ...request, query: { ...later, continue: token } })
    answers.push({ status: answer.status, body: answer.body })
    if (answer.status < 300) remember(answer.body, kind, place.memory)
    token = (answer.body as { metadata?: { continue?: string } }).metadata?.continue
  } while (token !== undefined && token !== '')
  return answers
}

async function startWatch(operation: Watch, index: number, place: Place, side: Side, watches: FollowedWatch[]): Promise<Outcome> {
  const request = watchOf(operation, place)
  const { resourceVersion = '0' } = request.query!
  if (resourceVersion === '0') await freshen(kindOf(place, operation), side, place.namespace)
  const started = await side.watch(request)
  if ('refused' in started) return { answers: [started.refused] }
  watches.push({ operation, index, opened: started })
  return { answers: [{ status: 200, body: undefined }], events: started.events, isComplete: false }
}

/** A real server's cache may be behind; a list without a resourceVersion brings it up to date. */
async function freshen(kind: TraceKind, side: Side, namespace: string): Promise<void> {
  await side.request({ method: 'GET', path: collectionPath(kind, namespace) })
}

function remember(body: unknown, { plural }: TraceKind, memory: Memory): void {
  const { items, metadata } = body as { items?: KubeObject[]; metadata?: KubeObject['metadata'] }
  if (items) {
    for (const item of items) memory.sawObject(plural, item)
    memory.sawVersion(plural, metadata!.resourceVersion!)
  } else if (metadata?.name) memory.sawObject(plural, body as KubeObject)
}

/** Takes away all that the trace may have made. It asks by name, for a list waits on a real server's cache. */
async function empty({ kinds, operations }: Trace, side: Side, namespace: string): Promise<void> {
  const names = new Set(['other', ...operations.flatMap((operation) => ('name' in operation ? [operation.name] : []))])
  for (const kind of new Set(kinds)) {
    for (const name of [...names].toSorted()) await take(`${collectionPath(KINDS[kind], namespace)}/${name}`, side)
  }
}

/** Deletes an object for good, its finalizers first. */
async function take(path: string, side: Side): Promise<void> {
  const { body } = await side.request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0 } })
  if (!(body as Partial<KubeObject>).metadata?.finalizers?.length) return
  await side.request({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body: { metadata: { finalizers: null } } })
}

/** Gives every watch a last object of its own, by which it is known that all before has come. */
async function finish(watches: FollowedWatch[], trace: Trace, side: Side, namespace: string, outcomes: Outcome[]): Promise<void> {
  const markers = new Map(watches.map(({ operation }) => [markOf(operation, trace), markerOf(operation, trace, namespace)]))
  for (const [mark, { path, object, metadata }] of markers) {
    await side.request({ method: 'POST', path, body: { ...object, metadata: { ...metadata, annotations: { [MARK]: mark } } } })
    await take(`${path}/${metadata.name}`, side)
  }
  await Promise.all(
    watches.map(async ({ operation, opened, index }) => {
      const isLast = lastOf(markOf(operation, trace))
      const isComplete = await opened.until(isLast, LAST_EVENT_WITHIN_MS)
      opened.end()
      const end = opened.events.findIndex(isLast)
      const events = opened.events.slice(0, end === -1 ? undefined : end)
      outcomes[index] = { answers: [{ status: 200, body: undefined }], events, isComplete }
    }),
  )
}

function markOf(operation: Watch, trace: Trace): string {
  return `${trace.kinds[operation.kind % trace.kinds.length]}-${operation.selector}`
}

interface Marker {
  path: string
  object: object
  metadata: { name: string; labels?: object }
}

function markerOf(operation: Watch, trace: Trace, namespace: string): Marker {
  const kind = kindOf(trace, operation)
  const metadata = { name: `marker-${operation.selector}`, ...SELECTORS[operation.selector]!.selects }
  return { path: collectionPath(kind, namespace), object: freshOf(kind, kind.objects[0]!, namespace), metadata }
}

function lastOf(mark: string): (event: WatchEvent) => boolean {
  return ({ object }) => (object as KubeObject).metadata?.annotations?.[MARK] === mark
}
