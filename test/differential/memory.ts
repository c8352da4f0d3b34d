/** What one client has seen: the objects and list versions of its own answers, oldest first. */
import type { KubeObject } from '../../src/kube/objects.ts'
import type { Precondition } from './operation.ts'

const NEVER = { uid: '00000000-0000-4000-8000-000000000000', resourceVersion: '1' }

export class Memory {
  readonly #objects = new Map<string, KubeObject[]>()
  /** By collection. */
  readonly #versions = new Map<string, string[]>()

  sawObject(collection: string, object: KubeObject): void {
    const key = `${collection}/${object.metadata.name}`
    this.#objects.set(key, [...(this.#objects.get(key) ?? []), object])
    if (object.metadata.resourceVersion) this.sawVersion(collection, object.metadata.resourceVersion)
  }

  sawVersion(collection: string, resourceVersion: string): void {
    this.#versions.set(collection, [...(this.#versions.get(collection) ?? []), resourceVersion])
  }

  newest(collection: string, name: string): KubeObject | undefined {
    return this.#objects.get(`${collection}/${name}`)?.at(-1)
  }

  /** A uid or resourceVersion of that object, as the precondition names it; undefined when none is to be sent. */
  field(collection: string, name: string, field: 'uid' | 'resourceVersion', which: Precondition): string | undefined {
    if (which === 'none') return undefined
    if (which === 'wrong') return NEVER[field]
    const seen = this.#objects.get(`${collection}/${name}`)
    return seen?.at(which === 'right' ? -1 : 0)?.metadata[field]
  }

  version(collection: string, which: 'first' | 'last'): string | undefined {
    return this.#versions.get(collection)?.at(which === 'last' ? -1 : 0)
  }
}
