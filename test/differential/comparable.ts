/**
 * A recording without what two servers may well differ in: uids, resourceVersions and times. A uid becomes the number of
 * its first appearance, a resourceVersion its rank among all of the recording: so it still counts which are the same, and
 * which are later.
 */
import type { KubeObject, Status } from '../../src/kube/objects.ts'
import type { Answer, Outcome } from './play.ts'

export type Comparable = { answers: unknown[]; events?: unknown[]; isComplete?: boolean }

export function comparable(outcomes: readonly Outcome[]): Comparable[] {
  const symbols = new Symbols(outcomes.flatMap(objectsOf))
  const answered = outcomes.map(({ answers }) => answers.map((answer) => comparableAnswer(answer, symbols)))
  return outcomes.map((outcome, index) => {
    const answers = answered[index]!
    if (!('events' in outcome)) return { answers }
    const events = outcome.events.map(({ type, object }) =>
      type === 'ERROR' ? { type, ...refusalOf(object) } : { type, object: symbols.object(object) },
    )
    return { answers, events, isComplete: outcome.isComplete }
  })
}

function comparableAnswer({ status, body }: Answer, symbols: Symbols): unknown {
  if (body === undefined) return { status }
  if (status >= 300) return { status, ...refusalOf(body as Status) }
  const { kind, items, metadata, details } = body as { kind?: string; items?: KubeObject[]; metadata: object; details?: { uid?: string } }
  if (items === undefined && kind !== 'Status') return { status, object: symbols.object(body as KubeObject) }
  if (items === undefined) return { status, kind, details: { ...details, uid: symbols.uid(details?.uid) } }
  const { continue: token, remainingItemCount } = metadata as { continue?: string; remainingItemCount?: number }
  return { status, kind, hasMore: Boolean(token), remainingItemCount, items: items.map((item) => symbols.object(item)) }
}

/** Of a refusal its code and reason, and of an invalid object which fields; the wording is another test's. */
function refusalOf({ code, reason, details }: Status): object {
  const fields = code === 422 ? { fields: [...new Set(details?.causes?.map(({ field }) => field))].toSorted() } : {}
  return { code, reason, ...fields }
}

function objectsOf(outcome: Outcome): KubeObject[] {
  const answered = outcome.answers.flatMap(({ body }) => (body as { items?: KubeObject[] } | undefined)?.items ?? [body as KubeObject])
  const brought = 'events' in outcome ? outcome.events.map(({ object }) => object as KubeObject) : []
  return [...answered, ...brought]
}

class Symbols {
  readonly #uids = new Map<string, number>()
  readonly #ranks: ReadonlyMap<string, number>

  constructor(objects: readonly (KubeObject | undefined)[]) {
    const versions = new Set(objects.flatMap((object) => object?.metadata?.resourceVersion ?? []))
    const sorted = [...versions].toSorted((a, b) => Number(BigInt(a) - BigInt(b)))
    this.#ranks = new Map(sorted.map((version, rank) => [version, rank]))
  }

  uid(uid: string | undefined): string | undefined {
    if (uid === undefined) return undefined
    const number = this.#uids.get(uid) ?? this.#uids.size + 1
    this.#uids.set(uid, number)
    return `uid ${number}`
  }

  object(object: KubeObject): object {
    const {
      managedFields: _managed,
      creationTimestamp,
      deletionTimestamp,
      uid,
      resourceVersion,
      ...metadata
    } = object.metadata as typeof object.metadata & { managedFields?: unknown }
    return {
      ...object,
      metadata: {
        ...metadata,
        uid: this.uid(uid),
        version: resourceVersion === undefined ? undefined : this.#ranks.get(resourceVersion),
        hasCreationTime: creationTimestamp !== undefined,
        hasDeletionTime: deletionTimestamp !== undefined,
      },
    }
  }
}
