/**
 * Objects by values read from them. Most values have one object, as a session has one pod: a set for each of ten thousand
 * would cost more memory than what it holds, and most of the time of a first list.
 */
export class Index<T extends object> {
  readonly #valuesOf: (object: T) => readonly string[]
  readonly #entries = new Map<string, T | Set<T>>()

  /** `valuesOf` must not throw, and must always read the same of the same object. */
  constructor(valuesOf: (object: T) => readonly string[]) {
    this.#valuesOf = valuesOf
  }

  by(value: string): readonly T[] {
    const entry = this.#entries.get(value)
    if (entry === undefined) return []
    return entry instanceof Set ? [...entry] : [entry]
  }

  /** How many there are, without a list of them. */
  count(value: string): number {
    const entry = this.#entries.get(value)
    return entry instanceof Set ? entry.size : entry === undefined ? 0 : 1
  }

  add(object: T): void {
    for (const value of this.#valuesOf(object)) {
      const entry = this.#entries.get(value)
      if (entry === undefined) this.#entries.set(value, object)
      else if (entry instanceof Set) entry.add(object)
      else if (entry !== object) this.#entries.set(value, new Set([entry, object]))
    }
  }

  /** The very object that was added; another one is none to drop. */
  drop(object: T): void {
    for (const value of this.#valuesOf(object)) {
      const entry = this.#entries.get(value)
      if (entry instanceof Set ? entry.delete(object) && entry.size === 0 : entry === object) this.#entries.delete(value)
    }
  }
}
