import { Contents, keyFor, keyOf } from './contents.ts'
import type { KubeObject } from './objects.ts'

export { keyOf } from './contents.ts'

export type Change<T> = { type: 'added'; object: T } | { type: 'updated'; object: T; previous: T } | { type: 'deleted'; object: T }

/**
 * A watch-fed copy of a collection, read by key or by index. Objects are shared and never changed in place. Listeners
 * hear every change, in order; one that throws stops nobody.
 */
export class Store<T extends KubeObject> {
  readonly synced: Promise<void>
  readonly #indexers: Record<string, (object: T) => readonly string[]>
  #contents: Contents<T>
  readonly #listeners = new Set<(change: Change<T>) => void>()
  /** Keys whose object this process wrote and the server's own stream has not shown yet. */
  readonly #ahead = new Set<string>()
  /** Made, not told yet. */
  readonly #untold: Change<T>[] = []
  /** Up to which resourceVersion the server's own stream has been seen. */
  #asOf = 0n
  #isTelling = false
  #isFed = false
  #resolveSynced: () => void = () => {}
  #hasSynced = false

  constructor(indexes: Record<string, (object: T) => readonly string[]> = {}) {
    this.#indexers = Object.fromEntries(
      Object.entries(indexes).map(([name, valuesOf]) => [name, (object: T) => this.#read(valuesOf, object)]),
    )
    this.#contents = new Contents(this.#indexers)
    this.synced = new Promise((resolve) => (this.#resolveSynced = resolve))
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  get size(): number {
    return this.#contents.size
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#contents.get(keyFor(namespace, name))
  }

  byKey(key: string): T | undefined {
    return this.#contents.get(key)
  }

  list(): readonly T[] {
    return this.#contents.list()
  }

  by(index: string, value: string): readonly T[] {
    return this.#contents.by(index, value)
  }

  /** As many as `by` answers. */
  count(index: string, value: string): number {
    return this.#contents.count(index, value)
  }

  /** Answers the way to unsubscribe. */
  subscribe(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Read-your-writes: takes what this process just wrote, unless the server's stream is past it: then the object is held
   * as it is now, or was deleted meanwhile and must not come back.
   */
  observe(object: T): void {
    if (versionOf(object) <= this.#asOf) return
    const kept = this.project(object)
    if (kept === undefined) return
    this.#take('MODIFIED', kept)
    if (this.#contents.get(keyOf(kept)) === kept) this.#ahead.add(keyOf(kept))
    this.#tell()
  }

  /** One watch event; they come in the order of the server. An object older than the one held is ignored. */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    if (versionOf(object) > this.#asOf) this.#asOf = versionOf(object)
    if (this.#take(type, object)) this.#ahead.delete(keyOf(object))
    this.#tell()
  }

  /** Takes the pages of a list while they come, so that to show it in the end is little work; see `replaceWith`. */
  draft(): Contents<T> {
    return new Contents(this.#indexers)
  }

  /** The same with a list that is whole already. */
  replaceAll(objects: readonly T[], resourceVersion: string): void {
    const draft = this.draft()
    draft.add(objects)
    this.replaceWith(draft, resourceVersion)
  }

  /**
   * A complete relist as of `resourceVersion`, in one step: listeners hear of it when the new collection is whole. What
   * this process wrote after that version stays.
   */
  replaceWith(draft: Contents<T>, resourceVersion: string): void {
    const before = this.#contents
    this.#asOf = numberOf(resourceVersion)
    for (const key of this.#ahead) {
      const held = before.get(key)
      if (held && versionOf(held) > this.#asOf) draft.put(key, held)
      else this.#ahead.delete(key)
    }
    this.#contents = draft
    for (const [key, held] of before.entries()) if (!draft.get(key)) this.#untold.push({ type: 'deleted', object: held })
    for (const [key, object] of draft.entries()) this.#compare(object, before.get(key))
    this.#hasSynced = true
    this.#resolveSynced()
    this.#tell()
  }

  /** Whether it was news, or at least no older than what is held. */
  #take(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): boolean {
    const key = keyOf(object)
    const held = this.#contents.get(key)
    const version = versionOf(object)
    if (held && versionOf(held) > version) return false
    if (type === 'DELETED') this.#remove(key, object, held)
    else if (this.#compare(object, held)) this.#contents.put(key, object)
    return true
  }

  /** Notes what became of the object that was held under the same key, for the listeners; answers whether it is another. */
  #compare(object: T, held: T | undefined): boolean {
    if (held === undefined) this.#untold.push({ type: 'added', object })
    // deleted and made anew while nobody looked
    else if (held.metadata.uid !== object.metadata.uid) this.#untold.push({ type: 'deleted', object: held }, { type: 'added', object })
    else if (held.metadata.resourceVersion !== object.metadata.resourceVersion)
      this.#untold.push({ type: 'updated', object, previous: held })
    else return false
    return true
  }

  #remove(key: string, object: T, held: T | undefined): void {
    if (held === undefined) return
    this.#contents.remove(key)
    // A name that is free again was free of its former holder, too.
    this.#untold.push({ type: 'deleted', object: held.metadata.uid === object.metadata.uid ? object : held })
  }

  /** One object that an index cannot read is in no index; the others must not suffer from it. */
  #read(valuesOf: (object: T) => readonly string[], object: T): readonly string[] {
    try {
      return valuesOf(object)
    } catch (error) {
      queueMicrotask(() => this.onListenerError(error))
      return []
    }
  }

  /** A listener may change the store: what comes of it is told after this, so that all hear one order. */
  #tell(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    // By index: to shift a long array moves all of it, and a first list is long.
    for (let next = 0; next < this.#untold.length; next += 1) this.#tellOne(this.#untold[next]!)
    this.#untold.length = 0
    this.#isTelling = false
  }

  #tellOne(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        queueMicrotask(() => this.onListenerError(error))
      }
    }
  }

  /** One stream feeds a store: two would tell each other's changes anew. Answers the way to end it; throws when there is one. */
  feed(): () => void {
    if (this.#isFed) throw new Error('this store is fed already: end the reflector that does it, or give the other one a store of its own')
    this.#isFed = true
    return () => void (this.#isFed = false)
  }

  /** What is kept of an object that this process wrote; the reflector sets it to its own projection. */
  project: (object: T) => T | undefined = (object) => object

  /** Where the error of a listener or an index goes; the reflector sets it to its log. */
  onListenerError: (error: unknown) => void = () => {}
}

/** Comparable since Kubernetes 1.35; an object without one (never stored) is the oldest. */
function versionOf(object: KubeObject): bigint {
  return numberOf(object.metadata.resourceVersion)
}

function numberOf(resourceVersion: string | undefined): bigint {
  return resourceVersion && /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n
}
