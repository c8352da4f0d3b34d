import type { KubeObject } from '../../kube/objects.ts'

/**
 * Where the objects outlive the process. A call that resolved is durable; one that rejected changed nothing. The server
 * makes one call at a time.
 */
export interface Persistence {
  /** All objects, and the resourceVersion that no write before has gone beyond. */
  load(): Promise<{ objects: { key: string; object: KubeObject }[]; reservedThrough: number }>
  /** Makes sure that no later load answers less than this. */
  reserve(resourceVersion: number): Promise<void>
  write(key: string, object: KubeObject): Promise<void>
  remove(key: string): Promise<void>
}

/** For tests and the virtual clock: gone with the process, unless it is handed to the next one. */
export class MemoryPersistence implements Persistence {
  readonly #objects = new Map<string, KubeObject>()
  #reservedThrough = 0

  async load(): Promise<{ objects: { key: string; object: KubeObject }[]; reservedThrough: number }> {
    return {
      objects: Array.from(this.#objects, ([key, object]) => ({ key, object: structuredClone(object) })),
      reservedThrough: this.#reservedThrough,
    }
  }

  async reserve(resourceVersion: number): Promise<void> {
    this.#reservedThrough = resourceVersion
  }

  async write(key: string, object: KubeObject): Promise<void> {
    this.#objects.set(key, structuredClone(object))
  }

  async remove(key: string): Promise<void> {
    this.#objects.delete(key)
  }
}
