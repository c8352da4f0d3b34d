import type { Timer } from '../../env/clock.ts'
import type { KubeObject, OwnerReference } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiEnv } from './call.ts'
import type { Committed, ObjectStore } from './object-store.ts'
import type { ServedKind } from './served-kinds.ts'
import type { Writer } from './write.ts'

/** The real collector works in the background too: what it does is never part of the write that caused it. */
const SOON_MS = 1
/** After the disk refused. */
const AGAIN_MS = 1_000
/** The real server forgets events, too. */
const EVENT_LIFE_MS = 3_600_000
const EVENTS = 'core/events'

/** Deletes what has lost its owners, empties namespaces that are being deleted, and forgets events after an hour. */
export class Collector {
  readonly #env: ApiEnv
  readonly #store: ObjectStore
  readonly #kinds: readonly ServedKind[]
  readonly #writer: Writer
  #due: Timer | undefined
  #expiry: Timer | undefined
  #stopped = false

  constructor(env: ApiEnv, store: ObjectStore, kinds: readonly ServedKind[], writer: Writer) {
    this.#env = env
    this.#store = store
    this.#kinds = kinds
    this.#writer = writer
  }

  /** Called after every commit. */
  noticed({ type, object, previous, collection }: Committed): void {
    const { ownerReferences, deletionTimestamp } = object.metadata
    const isNewlyOwned = (ownerReferences?.length ?? 0) > 0 && ownerReferences !== previous?.metadata.ownerReferences
    const leavesNamespace = collection === 'core/namespaces' && deletionTimestamp !== undefined
    if (type === 'DELETED' || isNewlyOwned || leavesNamespace) this.sweep()
    if (collection === EVENTS && type === 'ADDED') this.#armExpiry()
  }

  /** Looks at everything soon. */
  sweep(afterMs = SOON_MS): void {
    if (this.#due || this.#stopped) return
    this.#due = this.#env.clock.after(afterMs, () => {
      this.#due = undefined
      void this.#collect()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#due?.cancel()
    this.#expiry?.cancel()
  }

  #armExpiry(): void {
    if (this.#stopped) return
    this.#expiry ??= this.#env.clock.after(EVENT_LIFE_MS, () => {
      this.#expiry = undefined
      this.sweep()
      if (this.#store.list(EVENTS).length > 0) this.#armExpiry()
    })
  }

  async #collect(): Promise<void> {
    try {
      await this.#store.exclusively(async () => {
        for (const { object } of this.#store.all()) if (this.#mustGo(object)) await this.#delete(object)
        for (const namespace of this.#store.list('core/namespaces')) if (namespace.metadata.deletionTimestamp) await this.#finish(namespace)
      })
    } catch (error) {
      this.#env.log.warn({ err: error }, 'garbage collection could not finish and tries again')
      this.sweep(AGAIN_MS)
    }
  }

  #mustGo(object: KubeObject): boolean {
    return !object.metadata.deletionTimestamp && (this.#isOrphaned(object) || this.#isEvicted(object) || this.#isForgotten(object))
  }

  #isOrphaned({ metadata: { ownerReferences = [], namespace = '' } }: KubeObject): boolean {
    return ownerReferences.length > 0 && !ownerReferences.some((owner) => this.#isThere(owner, namespace))
  }

  /** An owner is in the same namespace, or in none. */
  #isThere({ uid, name, kind, apiVersion }: OwnerReference, namespace: string): boolean {
    const found = this.#store.withUID(uid)
    if (found === undefined) return false
    const { slot, object } = found
    return (
      slot.name === name &&
      (slot.namespace === namespace || slot.namespace === '') &&
      object.kind === kind &&
      groupOf(object.apiVersion) === groupOf(apiVersion)
    )
  }

  #isEvicted({ metadata: { namespace } }: KubeObject): boolean {
    const place = namespace && this.#store.get({ collection: 'core/namespaces', namespace: '', name: namespace })
    return place ? place.metadata.deletionTimestamp !== undefined : false
  }

  #isForgotten(object: KubeObject): boolean {
    if (object.kind !== 'Event' || object.apiVersion !== 'v1') return false
    const { series, lastTimestamp } = object as KubeObject & { series?: { lastObservedTime?: string }; lastTimestamp?: string }
    const last = series?.lastObservedTime ?? lastTimestamp ?? object.metadata.creationTimestamp!
    return Date.parse(last) + EVENT_LIFE_MS <= this.#env.clock.now()
  }

  async #finish(namespace: KubeObject): Promise<void> {
    const { name, finalizers } = namespace.metadata
    if (this.#store.all().some(({ object }) => object.metadata.namespace === name)) return
    const slot = { collection: 'core/namespaces', namespace: '', name }
    if (!finalizers?.length) return void (await this.#store.remove(slot))
    const { spec } = namespace as KubeObject & { spec?: { finalizers?: string[] } }
    if (spec?.finalizers?.length) await this.#store.put(slot, Object.assign({}, namespace, { spec: {} }))
  }

  async #delete(object: KubeObject): Promise<void> {
    const found = this.#store.withUID(object.metadata.uid!)
    const kind =
      found &&
      this.#kinds.find((candidate) => candidate.collection === found.slot.collection && apiVersionOf(candidate) === object.apiVersion)
    if (found && kind)
      await this.#writer.deleteNow(kind, found.slot, { uid: object.metadata.uid!, propagationPolicy: 'Background', dryRun: false })
  }
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.split('/')[0]! : ''
}
