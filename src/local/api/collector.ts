import type { Timer } from '../../env/clock.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { ApiEnv } from './api.ts'
import type { Committed, ObjectStore } from './object-store.ts'
import type { ServedKind } from './served-kinds.ts'
import { Refusal } from './statuses.ts'
import type { Writer } from './write.ts'

/** The real collector works in the background too: what it does is never part of the write that caused it. */
const SOON_MS = 1

/** Deletes what has lost its owners, and empties namespaces that are being deleted. */
export class Collector {
  readonly #env: ApiEnv
  readonly #store: ObjectStore
  readonly #kinds: readonly ServedKind[]
  readonly #writer: Writer
  #due: Timer | undefined
  #stopped = false

  constructor(env: ApiEnv, store: ObjectStore, kinds: readonly ServedKind[], writer: Writer) {
    this.#env = env
    this.#store = store
    this.#kinds = kinds
    this.#writer = writer
  }

  /** Called after every commit. */
  noticed({ type, object, collection }: Committed): void {
    const owned = (object.metadata.ownerReferences?.length ?? 0) > 0
    const leavesNamespace = collection === 'core/namespaces' && object.metadata.deletionTimestamp !== undefined
    if (type === 'DELETED' || (type === 'ADDED' && owned) || leavesNamespace) this.sweep()
  }

  /** Looks at everything soon. */
  sweep(): void {
    if (this.#due || this.#stopped) return
    this.#due = this.#env.clock.after(SOON_MS, () => {
      this.#due = undefined
      void this.#collect()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#due?.cancel()
  }

  async #collect(): Promise<void> {
    try {
      await this.#store.exclusively(async () => {
        for (const { object } of this.#store.all()) if (this.#isOrphaned(object) || this.#isEvicted(object)) await this.#delete(object)
        for (const namespace of this.#store.list('core/namespaces')) if (namespace.metadata.deletionTimestamp) await this.#finishNamespace(namespace)
      })
    } catch (error) {
      this.#env.log.warn({ err: error }, 'garbage collection could not finish; the next change tries again')
    }
  }

  #isOrphaned({ metadata }: KubeObject): boolean {
    const owners = metadata.ownerReferences ?? []
    if (owners.length === 0 || metadata.deletionTimestamp) return false
    return owners.every(({ uid, name }) => {
      const owner = this.#store.withUID(uid)
      return owner === undefined || owner.object.metadata.name !== name || owner.slot.namespace !== (metadata.namespace ?? '')
    })
  }

  #isEvicted({ metadata }: KubeObject): boolean {
    if (!metadata.namespace || metadata.deletionTimestamp) return false
    const namespace = this.#store.get({ collection: 'core/namespaces', namespace: '', name: metadata.namespace })
    return namespace?.metadata.deletionTimestamp !== undefined
  }

  async #finishNamespace(namespace: KubeObject): Promise<void> {
    const inUse = this.#store.all().some(({ object }) => object.metadata.namespace === namespace.metadata.name)
    if (!inUse) await this.#store.remove({ collection: 'core/namespaces', namespace: '', name: namespace.metadata.name })
  }

  async #delete(object: KubeObject): Promise<void> {
    const found = this.#store.withUID(object.metadata.uid!)
    const kind = found && this.#kinds.find(({ collection }) => collection === found.slot.collection)
    if (!found || !kind) return
    try {
      await this.#writer.deleteNow(kind, found.slot, { uid: object.metadata.uid!, propagationPolicy: 'Background' })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
  }
}
