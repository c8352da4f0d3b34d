import type { KubeObject } from '../../kube/objects.ts'
import type { Persistence } from './persistence.ts'
import { Refusal } from './statuses.ts'

/** resourceVersions are reserved on disk in blocks of this many. */
const RESERVED_BLOCK = 1_000

/** One committed write, as watches see it. */
export interface Committed {
  resourceVersion: number
  /** `<group>/<plural>`. */
  collection: string
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: KubeObject
  /** What it was before; absent for ADDED. */
  previous: KubeObject | undefined
}

export interface Slot {
  collection: string
  /** '' for what has no namespace. */
  namespace: string
  name: string
}

/**
 * All objects of the API, in memory and durable. Writers take turns (`exclusively`); readers never wait. A commit is on
 * disk before anybody sees it, and one that the disk refused never happened.
 */
export class ObjectStore {
  readonly #persistence: Persistence
  readonly #isKept: (slot: Slot) => boolean
  readonly #published: (event: Committed) => void
  readonly #objects = new Map<string, Map<string, KubeObject>>()
  readonly #byUID = new Map<string, { slot: Slot; object: KubeObject }>()
  #resourceVersion = 0
  #reservedThrough = 0
  #turn: Promise<unknown> = Promise.resolve()

  /** `isKept`: whether an object outlives the process. `published` is called after each commit, in order. */
  constructor(persistence: Persistence, isKept: (slot: Slot) => boolean, published: (event: Committed) => void) {
    this.#persistence = persistence
    this.#isKept = isKept
    this.#published = published
  }

  async load(): Promise<void> {
    const { objects, reservedThrough } = await this.#persistence.load()
    for (const { key, object } of objects) this.#keep(slotOf(key), object)
    // The counter's file may be lost while the objects are not.
    const highest = Math.max(0, ...objects.map(({ object }) => Number(object.metadata.resourceVersion) || 0))
    this.#resourceVersion = this.#reservedThrough = Math.max(reservedThrough, highest)
  }

  get resourceVersion(): number {
    return this.#resourceVersion
  }

  get({ collection, namespace, name }: Slot): KubeObject | undefined {
    return this.#objects.get(collection)?.get(`${namespace}/${name}`)
  }

  /** Sorted by namespace and name, as etcd's keys are. */
  list(collection: string, namespace?: string): KubeObject[] {
    const all = [...(this.#objects.get(collection)?.entries() ?? [])]
    const wanted = namespace === undefined ? all : all.filter(([key]) => key.startsWith(`${namespace}/`))
    return wanted.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
  }

  withUID(uid: string): { slot: Slot; object: KubeObject } | undefined {
    return this.#byUID.get(uid)
  }

  /** Every object with its place. */
  all(): { slot: Slot; object: KubeObject }[] {
    return [...this.#byUID.values()]
  }

  /** Runs `write` when all writes before have ended; what it reads stays true until it is done. */
  exclusively<Result>(write: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(write)
    this.#turn = result.catch(() => {})
    return result
  }

  /** Inside `exclusively`. Answers the object with its new resourceVersion. */
  async put(slot: Slot, object: KubeObject): Promise<KubeObject> {
    const resourceVersion = await this.#next()
    const stored: KubeObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(resourceVersion) } }
    if (this.#isKept(slot)) await durable(this.#persistence.write(keyOf(slot), stored))
    const previous = this.get(slot)
    this.#resourceVersion = resourceVersion
    this.#keep(slot, stored)
    this.#published({ resourceVersion, collection: slot.collection, type: previous ? 'MODIFIED' : 'ADDED', object: stored, previous })
    return stored
  }

  /** Inside `exclusively`. Answers the object's last state, at the resourceVersion of its deletion. */
  async remove(slot: Slot): Promise<KubeObject> {
    const previous = this.get(slot)!
    const resourceVersion = await this.#next()
    if (this.#isKept(slot)) await durable(this.#persistence.remove(keyOf(slot)))
    this.#resourceVersion = resourceVersion
    this.#objects.get(slot.collection)!.delete(`${slot.namespace}/${slot.name}`)
    this.#byUID.delete(previous.metadata.uid!)
    const last: KubeObject = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(resourceVersion) } }
    this.#published({ resourceVersion, collection: slot.collection, type: 'DELETED', object: last, previous })
    return last
  }

  async #next(): Promise<number> {
    const next = this.#resourceVersion + 1
    if (next > this.#reservedThrough) {
      await durable(this.#persistence.reserve(next + RESERVED_BLOCK))
      this.#reservedThrough = next + RESERVED_BLOCK
    }
    return next
  }

  #keep(slot: Slot, object: KubeObject): void {
    const collection = this.#objects.get(slot.collection) ?? new Map<string, KubeObject>()
    this.#objects.set(slot.collection, collection.set(`${slot.namespace}/${slot.name}`, object))
    this.#byUID.set(object.metadata.uid!, { slot, object })
  }
}

/** `<group or core>/<plural>/<namespace or _>/<name>`. */
function keyOf({ collection, namespace, name }: Slot): string {
  return `${collection}/${namespace || '_'}/${name}`
}

function slotOf(key: string): Slot {
  const [group, plural, namespace, ...name] = key.split('/')
  return { collection: `${group}/${plural}`, namespace: namespace === '_' ? '' : namespace!, name: name.join('/') }
}

async function durable(write: Promise<void>): Promise<void> {
  try {
    await write
  } catch (error) {
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC'
    const message = full
      ? 'the disk that holds the state is full: free some space and try again; nothing was changed'
      : `the state could not be written, nothing was changed: ${(error as Error).message}`
    throw new Refusal(500, 'InternalError', `Internal error occurred: ${message}`)
  }
}
