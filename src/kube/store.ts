import type { KubeObject } from './objects.ts'

export type Change<T> = { type: 'added'; object: T } | { type: 'updated'; object: T; previous: T } | { type: 'deleted'; object: T }

/** `namespace/name`, or `name` for what has no namespace. */
export function keyOf(object: KubeObject): string {
  return keyFor(object.metadata.namespace, object.metadata.name)
}

function keyFor(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}

/**
 * A watch-fed copy of a collection, read by key or by index. Objects are shared and never changed in place. Listeners
 * hear every change, in order; one that throws stops nobody.
 */
export class Store<T extends KubeObject> {
  readonly synced: Promise<void>
  readonly #objects = new Map<string, T>()
  readonly #indexers: Record<string, (object: T) => readonly string[]>
  readonly #indexes = new Map<string, Map<string, Map<string, T>>>()
  readonly #listeners = new Set<(change: Change<T>) => void>()
  /** Keys whose object this process wrote and the server's own stream has not shown yet. */
  readonly #ahead = new Set<string>()
  /** Made, not told yet. */
  readonly #untold: Change<T>[] = []
  /** Up to which resourceVersion the server's own stream has been seen. */
  #asOf = 0n
  #isTelling = false
  #resolveSynced: () => void = () => {}
  #hasSynced = false

  constructor(indexes: Record<string, (object: T) => readonly string[]> = {}) {
    this.#indexers = indexes
    for (const name of Object.keys(indexes)) this.#indexes.set(name, new Map())
    this.synced = new Promise((resolve) => (this.#resolveSynced = resolve))
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  get size(): number {
    return this.#objects.size
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(keyFor(namespace, name))
  }

  byKey(key: string): T | undefined {
    return this.#objects.get(key)
  }

  list(): readonly T[] {
    return [...this.#objects.values()]
  }

  by(index: string, value: string): readonly T[] {
    return [...(this.#indexes.get(index)?.get(value)?.values() ?? [])]
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
    this.#take('MODIFIED', object)
    if (this.#objects.get(keyOf(object)) === object) this.#ahead.add(keyOf(object))
    this.#tell()
  }

  /** One watch event; they come in the order of the server. An object older than the one held is ignored. */
  apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void {
    if (versionOf(object) > this.#asOf) this.#asOf = versionOf(object)
    if (this.#take(type, object)) this.#ahead.delete(keyOf(object))
    this.#tell()
  }

  /**
   * A complete relist as of `resourceVersion`, in one step: listeners hear of it when the new collection is whole. What
   * this process wrote after that version stays.
   */
  replaceAll(objects: readonly T[], resourceVersion: string): void {
    const listed = new Map(objects.map((object) => [keyOf(object), object]))
    this.#asOf = numberOf(resourceVersion)
    for (const key of this.#ahead) {
      const held = this.#objects.get(key)
      if (held && versionOf(held) > this.#asOf) listed.set(key, held)
      else this.#ahead.delete(key)
    }
    for (const [key, held] of this.#objects) if (!listed.has(key)) this.#remove(held, held)
    for (const [key, object] of listed) this.#put(object, this.#objects.get(key))
    this.#hasSynced = true
    this.#resolveSynced()
    this.#tell()
  }

  /** Whether it was news, or at least no older than what is held. */
  #take(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): boolean {
    const held = this.#objects.get(keyOf(object))
    const version = versionOf(object)
    if (held && versionOf(held) > version) return false
    if (type === 'DELETED') this.#remove(object, held)
    else this.#put(object, held)
    return true
  }

  #put(object: T, held: T | undefined): void {
    if (held && held.metadata.uid !== object.metadata.uid) {
      // deleted and made anew while nobody looked
      this.#remove(held, held)
      held = undefined
    }
    if (held && held.metadata.resourceVersion === object.metadata.resourceVersion) return
    if (held) this.#index(held, 'drop')
    this.#objects.set(keyOf(object), object)
    this.#index(object, 'add')
    this.#untold.push(held ? { type: 'updated', object, previous: held } : { type: 'added', object })
  }

  #remove(object: T, held: T | undefined): void {
    if (held === undefined) return
    this.#index(held, 'drop')
    this.#objects.delete(keyOf(held))
    // A name that is free again was free of its former holder, too.
    this.#untold.push({ type: 'deleted', object: held.metadata.uid === object.metadata.uid ? object : held })
  }

  #index(object: T, what: 'add' | 'drop'): void {
    for (const name of Object.keys(this.#indexers)) {
      const index = this.#indexes.get(name)!
      for (const value of this.#valuesOf(name, object)) {
        const entries = index.get(value) ?? new Map<string, T>()
        if (what === 'add') index.set(value, entries.set(keyOf(object), object))
        else if (entries.delete(keyOf(object)) && entries.size === 0) index.delete(value)
      }
    }
  }

  /** One object that an index cannot read is in no index; the others must not suffer from it. */
  #valuesOf(index: string, object: T): readonly string[] {
    try {
      return this.#indexers[index]!(object)
    } catch (error) {
      queueMicrotask(() => this.onListenerError(error))
      return []
    }
  }

  /** A listener may change the store: what comes of it is told after this, so that all hear one order. */
  #tell(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    for (let change = this.#untold.shift(); change !== undefined; change = this.#untold.shift()) this.#tellOne(change)
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
