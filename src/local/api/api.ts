import { SYSTEM_NAMESPACE } from '../../crds/system.ts'
import type { ApiAnswer, ApiCall, ApiEnv } from './call.ts'
import { Collector } from './collector.ts'
import { History } from './history.ts'
import { ObjectStore } from './object-store.ts'
import { Reader, type Request } from './read.ts'
import { requestInfo } from './request-info.ts'
import { SERVED_KINDS, definitionsServed, type ServedKind } from './served-kinds.ts'
import { Refusal, forbidden, methodNotAllowed, noSuchPath } from './statuses.ts'
import { Writer } from './write.ts'

const HISTORY_SIZE = 10_000
const FIRST_NAMESPACES = ['default', 'kube-system', SYSTEM_NAMESPACE]

/**
 * An API server as a function: `handle` answers one call as kube-apiserver would, for the kinds that Carrel uses. No
 * sockets, no files, no clock of its own. For laptops and tests; it has no server-side apply (415).
 */
export class EmbeddedApi {
  readonly kinds: readonly ServedKind[] = SERVED_KINDS
  readonly #store: ObjectStore
  readonly #history: History
  readonly #collector: Collector
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #mounts = new Map<string, (call: ApiCall) => Promise<ApiAnswer>>()

  constructor(env: ApiEnv, options: { historySize?: number } = {}) {
    const volatile = new Set(this.kinds.filter((kind) => !kind.isKept).map((kind) => kind.collection))
    this.#store = new ObjectStore(
      env.persistence,
      (collection) => !volatile.has(collection),
      (event) => {
        this.#history.add(event)
        this.#collector.noticed(event)
      },
    )
    this.#history = new History(env.clock, options.historySize ?? HISTORY_SIZE, () => this.#store.resourceVersion)
    this.#writer = new Writer(env, this.#store, this.kinds)
    this.#collector = new Collector(env, this.#store, this.kinds, this.#writer)
    this.#reader = new Reader(env, this.#store, this.#history)
  }

  /** Loads what is kept, and makes what every cluster has. Call it once, first. */
  async start(): Promise<void> {
    await this.#store.load()
    this.#history.forget()
    for (const name of FIRST_NAMESPACES) await this.#writer.ensure('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    for (const definition of definitionsServed()) await this.#writer.ensure('CustomResourceDefinition', definition)
    this.#collector.sweep()
  }

  /** Ends every watch. */
  close(): void {
    this.#history.close()
    this.#collector.stop()
  }

  /** Serves a path of another kind beside the API, for the same identities. */
  mount(prefix: string, handler: (call: ApiCall) => Promise<ApiAnswer>): void {
    this.#mounts.set(prefix, handler)
  }

  /** Test knob: forgets the history, and ends all watches with 410. */
  compact(): void {
    this.#history.forget()
    this.#history.expireWatches()
  }

  /** Never rejects for what a caller sent: every refusal is an answer. */
  async handle(call: ApiCall): Promise<ApiAnswer> {
    try {
      for (const [prefix, handler] of this.#mounts) if (call.path.startsWith(`${prefix}/`)) return await handler(call)
      return await this.#route(call)
    } catch (error) {
      if (error instanceof Refusal) return error.answer()
      throw error
    }
  }

  async #route(call: ApiCall): Promise<ApiAnswer> {
    const { verb, object: target } = requestInfo(call.method, call.path, call.query)
    const kind =
      target &&
      this.kinds.find(({ group, version, plural }) => group === target.group && version === target.version && plural === target.resource)
    if (target === undefined || kind === undefined) throw noSuchPath()
    const { name, subresource } = target
    const isMisplaced = kind.namespaced
      ? name !== undefined && target.namespace === undefined
      : target.namespace !== undefined && kind.plural !== 'namespaces'
    if (isMisplaced) throw noSuchPath()
    const namespace = kind.namespaced ? target.namespace : undefined
    if (!call.identity.allows(verb, kind.group, kind.plural, subresource, namespace)) {
      throw forbidden(call.identity.user, verb, { ...kind, ...(subresource ? { subresource } : {}) }, name, namespace)
    }
    const request = { kind, namespace: namespace ?? '', name, call, everywhere: kind.namespaced && namespace === undefined }
    if (subresource !== undefined) return this.#onSubresource(verb, subresource, { ...request, name: name ?? '' })
    return name === undefined ? this.#onCollection(verb, request) : this.#onObject(verb, { ...request, name })
  }

  async #onSubresource(verb: string, subresource: string, request: Request & { name: string }): Promise<ApiAnswer> {
    const { kind } = request
    if (subresource === 'log' && kind.kind === 'Pod' && verb === 'get') return this.#reader.log(request)
    if (subresource === 'binding' && kind.kind === 'Pod' && verb === 'create') return this.#writer.bind(request)
    if (subresource !== 'status' || !kind.hasStatus) throw noSuchPath()
    if (verb === 'get') return this.#reader.get(request)
    if (verb === 'update' || verb === 'patch') return this.#writer.update({ ...request, subresource })
    throw methodNotAllowed()
  }

  async #onCollection(verb: string, request: Request & { everywhere: boolean }): Promise<ApiAnswer> {
    if (verb === 'list') return this.#reader.list(request)
    if (verb === 'watch') return this.#reader.watch(request)
    if (request.everywhere || (verb === 'deletecollection' && request.kind.kind === 'Namespace')) throw methodNotAllowed()
    if (verb === 'create') return this.#writer.create(request)
    if (verb === 'deletecollection') return this.#writer.deleteCollection(request)
    throw methodNotAllowed()
  }

  async #onObject(verb: string, request: Request & { name: string; everywhere: boolean }): Promise<ApiAnswer> {
    if (verb === 'get') return this.#reader.get(request)
    if (verb === 'watch') return this.#reader.watch(request)
    if (verb === 'update' || verb === 'patch') return this.#writer.update(request)
    if (verb === 'delete') return this.#writer.delete(request)
    throw methodNotAllowed()
  }
}
