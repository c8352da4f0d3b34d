import assert from 'node:assert/strict'
import type { Env } from '../../src/env/env.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { reflect, type ReflectOptions, type ReflectorCounters } from '../../src/kube/reflector.ts'
import type { Resource } from '../../src/kube/resource.ts'
import { keyOf, Store, type Change } from '../../src/kube/store.ts'
import type { Transport } from '../../src/kube/transport.ts'

/**
 * A reflector at work, and a listener that believes only what it is told: it keeps its own copy by the change stream, and
 * notes every change that does not fit to what it was told before.
 */
export class Followed<T extends KubeObject> {
  readonly store = new Store<T>()
  readonly counters: ReflectorCounters = { lists: 0, watches: 0, restarts: {}, lastEventAtMs: 0 }
  readonly heard: string[] = []
  /** Changes that contradict what was told before. */
  readonly contradictions: string[] = []
  readonly #told = new Map<string, T>()
  readonly #resource: Resource<T>
  readonly #end = new AbortController()
  readonly #ending: Promise<void>

  constructor(env: Env, transport: Transport, resource: Resource<T>, options: Partial<ReflectOptions<T>> = {}) {
    this.#resource = resource
    this.store.subscribe((change) => this.#hear(change))
    const { store, counters } = this
    this.#ending = reflect({ env, transport, resource, store, counters, ...options }, this.#end.signal)
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.#ending
  }

  /** Whether store, and the listener's own copy, hold exactly what a fresh list of the server does. */
  async isCurrent(client: KubeClient, options: { namespace?: string } = {}): Promise<boolean> {
    const { items } = await client.list(this.#resource, options)
    const listed = shown(items)
    return isDeep(shown(this.store.list()), listed) && isDeep(shown([...this.#told.values()]), listed)
  }

  /** The same, with the difference in the error. */
  async assertCurrent(client: KubeClient, options: { namespace?: string } = {}): Promise<void> {
    const { items } = await client.list(this.#resource, options)
    const listed = shown(items)
    assert.deepEqual(shown(this.store.list()), listed, `the store of ${this.#resource.plural} is what a fresh list is`)
    assert.deepEqual(shown([...this.#told.values()]), listed, `what a listener was told of ${this.#resource.plural} adds up to it`)
    assert.deepEqual(this.contradictions, [])
  }

  #hear(change: Change<T>): void {
    const { type, object } = change
    const key = keyOf(object)
    const { uid, resourceVersion } = object.metadata
    const held = this.#told.get(key)
    this.heard.push(`${type} ${object.metadata.name}`)
    const fits =
      type === 'added'
        ? held === undefined
        : type === 'updated'
          ? held === change.previous && held.metadata.uid === uid
          : held?.metadata.uid === uid
    if (!fits)
      this.contradictions.push(`${type} ${key} ${uid}@${resourceVersion} after ${held?.metadata.uid}@${held?.metadata.resourceVersion}`)
    if (type === 'deleted') this.#told.delete(key)
    else this.#told.set(key, object)
  }
}

function shown(objects: readonly KubeObject[]): string[] {
  return objects.map((object) => `${keyOf(object)} ${object.metadata.uid}@${object.metadata.resourceVersion}`).toSorted()
}

function isDeep(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}
