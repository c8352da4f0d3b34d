import { Index } from './index.ts'
import type { KubeObject } from './objects.ts'

/** `namespace/name`, or `name` for what has no namespace. */
export function keyOf(object: KubeObject): string {
  return keyFor(object.metadata.namespace, object.metadata.name)
}

export function keyFor(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}

/** Objects by key and by index: what a store shows, or what it is about to show, while a list comes in page by page. */
export class Contents<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #indexes: ReadonlyMap<string, Index<T>>

  /** The indexers must not throw. */
  constructor(indexers: Readonly<Record<string, (object: T) => readonly string[]>>) {
    this.#indexes = new Map(Object.entries(indexers).map(([name, valuesOf]) => [name, new Index(valuesOf)]))
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  entries(): Iterable<[string, T]> {
    return this.#objects
  }

  list(): readonly T[] {
    return [...this.#objects.values()]
  }

  by(index: string, value: string): readonly T[] {
    return this.#indexes.get(index)?.by(value) ?? []
  }

  count(index: string, value: string): number {
    return this.#indexes.get(index)?.count(value) ?? 0
  }

  put(key: string, object: T): void {
    const held = this.#objects.get(key)
    this.#objects.set(key, object)
    for (const index of this.#indexes.values()) {
      if (held) index.drop(held)
      index.add(object)
    }
  }

  remove(key: string): void {
    const held = this.#objects.get(key)
    if (held === undefined) return
    this.#objects.delete(key)
    for (const index of this.#indexes.values()) index.drop(held)
  }

  /** A page of a list. */
  add(objects: readonly T[]): void {
    for (const object of objects) this.put(keyOf(object), object)
  }
}
