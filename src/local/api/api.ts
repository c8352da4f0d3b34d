import { SYSTEM_NAMESPACE } from '../../crds/system.ts'
import { Authenticator } from './accounts/authenticator.ts'
import { DefaultAccounts } from './accounts/default-accounts.ts'
import { describeIssuer } from './accounts/issuer.ts'
import { KeyRing } from './accounts/key-ring.ts'
import type { KnownTokens } from './accounts/known-tokens.ts'
import { TokenRequests } from './accounts/token-request.ts'
import type { ApiAnswer, ApiCall, ApiEnv, Identity } from './call.ts'
import { Collector } from './collector.ts'
import { History } from './history.ts'
import { IDENTITIES } from './identities.ts'
import { ObjectStore } from './object-store.ts'
import { Authorizer } from './rbac/authorizer.ts'
import { checkRequest } from './rbac/check-request.ts'
import { refuseEscalation } from './rbac/escalation.ts'
import { impersonated, type Asked } from './rbac/impersonation.ts'
import { firstRoles, isFirstRole } from './rbac/first-roles.ts'
import { Reader, type Request } from './read.ts'
import { requestInfo } from './request-info.ts'
import { Reviews } from './reviews/reviews.ts'
import { SERVED_KINDS, definitionsServed, type ServedKind } from './served-kinds.ts'
import { Refusal, methodNotAllowed, noSuchPath } from './statuses.ts'
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
  readonly #authorizer: Authorizer
  readonly #authenticator: Authenticator
  readonly #keys: KeyRing
  readonly #tokenRequests: TokenRequests
  readonly #accounts: DefaultAccounts
  readonly #reviews: Reviews
  #url: string | undefined
  readonly #mounts = new Map<string, (call: ApiCall) => Promise<ApiAnswer>>()

  constructor(env: ApiEnv, options: { historySize?: number } = {}) {
    const volatile = new Set(this.kinds.filter((kind) => !kind.isKept).map((kind) => kind.collection))
    this.#store = new ObjectStore(
      env.persistence,
      (slot) => !volatile.has(slot.collection) && !isFirstRole(slot),
      (event) => {
        this.#history.add(event)
        this.#collector.noticed(event)
        this.#authorizer.noticed(event)
        this.#accounts.noticed(event)
      },
    )
    this.#history = new History(env.clock, options.historySize ?? HISTORY_SIZE, () => this.#store.resourceVersion)
    this.#authorizer = new Authorizer(this.#store, Object.values(IDENTITIES))
    this.#writer = new Writer(env, this.#store, this.kinds, (grant) => refuseEscalation(this.#authorizer, grant))
    this.#collector = new Collector(env, this.#store, this.kinds, this.#writer)
    this.#reader = new Reader(env, this.#store, this.#history)
    this.#keys = new KeyRing(env, this.#store)
    this.#authenticator = new Authenticator(env.clock, this.#store, this.#keys)
    this.#tokenRequests = new TokenRequests(env, this.#store, this.#keys)
    this.#accounts = new DefaultAccounts(env, this.#store, (account) => this.#writer.ensure('ServiceAccount', account))
    this.#reviews = new Reviews(env, this.#authenticator, this.#authorizer)
  }

  /** Loads what is kept, and makes what every cluster has. Call it once, first. */
  async start(): Promise<void> {
    await this.#store.load()
    this.#history.forget()
    this.#authorizer.load(this.#store)
    for (const name of FIRST_NAMESPACES) await this.#writer.ensure('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    for (const definition of definitionsServed()) await this.#writer.ensure('CustomResourceDefinition', definition)
    for (const role of firstRoles()) await this.#writer.ensure(role.kind, role)
    await this.#accounts.fill()
    this.#collector.sweep()
  }

  /** Ends every watch. */
  close(): void {
    this.#history.close()
    this.#collector.stop()
    this.#accounts.stop()
  }

  /** Called by what serves it over HTTP: the address for discovery, and tokens that TokenReview then knows, too. */
  served({ url, tokens }: { url: string; tokens: KnownTokens }): void {
    this.#url = url
    this.#authenticator.take(tokens)
  }

  /** Whose token it is, if it is good for this server. */
  identify(token: string): Identity | undefined {
    const recognised = this.#authenticator.recognise(token)
    return 'identity' in recognised ? recognised.identity : undefined
  }

  /** Whom a caller may act as. Throws a Refusal. */
  impersonate(caller: Identity, asked: Asked): Identity {
    return impersonated(this.#authorizer, caller, asked)
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
    const info = requestInfo(call.method, call.path, call.query)
    const { verb, object: target } = info
    const kind =
      target &&
      this.kinds.find(({ group, version, plural }) => group === target.group && version === target.version && plural === target.resource)
    if (target === undefined || kind === undefined) return this.#offTheKinds(call)
    const { name, subresource } = target
    const isMisplaced = kind.namespaced
      ? name !== undefined && target.namespace === undefined
      : target.namespace !== undefined && kind.plural !== 'namespaces'
    if (isMisplaced) throw noSuchPath()
    const namespace = kind.namespaced ? target.namespace : undefined
    checkRequest(this.#authorizer, call, kind, info)
    const request = { kind, namespace: namespace ?? '', name, call, everywhere: kind.namespaced && namespace === undefined }
    if (subresource !== undefined) return this.#onSubresource(verb, subresource, { ...request, name: name ?? '' })
    return name === undefined ? this.#onCollection(verb, request) : this.#onObject(verb, { ...request, name })
  }

  async #offTheKinds(call: ApiCall): Promise<ApiAnswer> {
    const described = call.method === 'GET' ? await describeIssuer(call, this.#keys, this.#url) : undefined
    if (described === undefined) throw noSuchPath()
    return described
  }

  async #onSubresource(verb: string, subresource: string, request: Request & { name: string }): Promise<ApiAnswer> {
    const { kind } = request
    if (subresource === 'log' && kind.kind === 'Pod' && verb === 'get') return this.#reader.log(request)
    if (subresource === 'binding' && kind.kind === 'Pod' && verb === 'create') return this.#writer.bind(request)
    if (subresource === 'token' && kind.kind === 'ServiceAccount' && verb === 'create') return this.#tokenRequests.create(request)
    if (subresource !== 'status' || !kind.hasStatus) throw noSuchPath()
    if (verb === 'get') return this.#reader.get(request)
    if (verb === 'update' || verb === 'patch') return this.#writer.update({ ...request, subresource })
    throw methodNotAllowed()
  }

  async #onCollection(verb: string, request: Request & { everywhere: boolean }): Promise<ApiAnswer> {
    if (request.kind.isReview) {
      if (verb !== 'create' || request.everywhere) throw methodNotAllowed()
      return this.#reviews.create(request)
    }
    if (verb === 'list') return this.#reader.list(request)
    if (verb === 'watch') return this.#reader.watch(request)
    if (request.everywhere || (verb === 'deletecollection' && request.kind.kind === 'Namespace')) throw methodNotAllowed()
    if (verb === 'create') return this.#writer.create(request)
    if (verb === 'deletecollection') return this.#writer.deleteCollection(request)
    throw methodNotAllowed()
  }

  async #onObject(verb: string, request: Request & { name: string; everywhere: boolean }): Promise<ApiAnswer> {
    if (request.kind.isReview) throw noSuchPath()
    if (verb === 'get') return this.#reader.get(request)
    if (verb === 'watch') return this.#reader.watch(request)
    if (verb === 'update' || verb === 'patch') return this.#writer.update(request)
    if (verb === 'delete') return this.#writer.delete(request)
    throw methodNotAllowed()
  }
}
