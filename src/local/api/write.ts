import { isDeepStrictEqual } from 'node:util'
import { rfc3339Seconds } from '../../env/clock.ts'
import { uuid } from '../../env/random.ts'
import type { KubeObject, ObjectMeta, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiAnswer, ApiEnv } from './api.ts'
import { applyRules } from './object-rules.ts'
import type { ObjectStore, Slot } from './object-store.ts'
import { patched } from './patch.ts'
import { matcherOf, type Request } from './read.ts'
import type { ServedKind } from './served-kinds.ts'
import { Refusal, alreadyExists, badRequest, conflict, forbidden, invalid, modified, notFound, success } from './statuses.ts'

type Named = Request & { name: string }
type UpdateRequest = Named & { subresource?: 'status' }

/** POST, PUT, PATCH and DELETE. Each runs alone, from reading what is to the durable commit. */
export class Writer {
  readonly #env: ApiEnv
  readonly #store: ObjectStore
  readonly #kinds: readonly ServedKind[]

  constructor(env: ApiEnv, store: ObjectStore, kinds: readonly ServedKind[]) {
    this.#env = env
    this.#store = store
    this.#kinds = kinds
  }

  /** Makes an object that every installation has, or renews one that the server itself writes. */
  async ensure(kindName: string, object: KubeObject): Promise<void> {
    const kind = this.#kinds.find(({ kind: name }) => name === kindName)!
    await this.#store.exclusively(async () => {
      const slot = slotOf(kind, object.metadata)
      if (this.#store.get(slot) === undefined) await this.#store.put(slot, this.#fresh(kind, object, ''))
    })
  }

  create({ kind, namespace, call }: Request): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'create')
      const given = objectOf(kind, call.body)
      this.#checkNamespace(kind, given, namespace)
      const { object, warnings } = applyRules({ kind, object: this.#fresh(kind, kind.toStored(given), namespace), fieldValidation: validationOf(call.query) })
      const slot = slotOf(kind, object.metadata)
      if (this.#store.get(slot)) throw alreadyExists(kind, object.metadata.name)
      const stored = isDryRun(call.query) ? object : await this.#store.put(slot, object)
      return { status: 201, headers: warningHeaders(warnings), body: kind.toServed(stored) }
    })
  }

  update({ kind, namespace, name, call, subresource }: UpdateRequest): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'update')
      const slot = { collection: kind.collection, namespace, name }
      const old = this.#store.get(slot)
      if (old === undefined) throw notFound(kind, name)
      const given = call.method === 'PATCH' ? patched(kind.toServed(old), call.contentType, call.body, kind.definition === undefined) : call.body
      const sent = kind.toStored(objectOf(kind, given))
      checkMetadata(kind, sent, old, name, namespace)

      const merged = subresource === 'status' ? withStatusOf(old, sent) : withoutStatusOf(kind, old, sent)
      const ruled = applyRules({ kind, object: merged, old, fieldValidation: validationOf(call.query), ...(subresource ? { subresource } : {}) })
      const object = withGeneration(kind, ruled.object, old)
      const headers = warningHeaders(ruled.warnings)
      if (isDeepStrictEqual(object, old) || isDryRun(call.query)) return { status: 200, headers, body: kind.toServed(object) }
      if (isFinished(object)) return { status: 200, headers, body: kind.toServed(await this.#store.remove(slot)) }
      return { status: 200, headers, body: kind.toServed(await this.#store.put(slot, object)) }
    })
  }

  delete({ kind, namespace, name, call }: Named): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'delete')
      return this.deleteNow(kind, { collection: kind.collection, namespace, name }, deleteOptions(call.body, call.query), isDryRun(call.query))
    })
  }

  deleteCollection({ kind, namespace, call }: Request): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'deletecollection')
      const chosen = this.#store.list(kind.collection, kind.namespaced ? namespace : undefined).filter(matcherOf(kind, call.query))
      const options = deleteOptions(call.body, call.query)
      for (const object of chosen) await this.deleteNow(kind, slotOf(kind, object.metadata), options, isDryRun(call.query))
      const metadata = { resourceVersion: String(this.#store.resourceVersion) }
      return { status: 200, body: { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: chosen.map(kind.toServed) } }
    })
  }

  /** POST pods/binding: what a scheduler does. */
  bind({ kind, namespace, name, call }: Named): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      const slot = { collection: kind.collection, namespace, name }
      const pod = this.#store.get(slot) as Pod | undefined
      if (pod === undefined) throw notFound(kind, name)
      const target = (call.body as { target?: { name?: string } } | undefined)?.target?.name
      if (!target) throw badRequest('a Binding names its node in target.name')
      if (pod.spec?.nodeName) throw conflict({ group: '', plural: 'pods/binding' }, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`)
      await this.#store.put(slot, { ...pod, spec: { ...pod.spec!, nodeName: target } } as Pod)
      return { status: 201, body: success(undefined) }
    })
  }

  /**
   * Inside `exclusively`. With finalizers, or a running pod's grace, the object stays, marked; the last finalizer's removal
   * or kubelet's delete without grace takes it away.
   */
  async deleteNow(kind: ServedKind, slot: Slot, options: DeleteOptions, dryRun = false): Promise<ApiAnswer> {
    const object = this.#store.get(slot)
    if (object === undefined) throw notFound(kind, slot.name)
    checkPreconditions(kind, object, options)
    const graceSeconds = graceOf(kind, object, options)
    const waits = graceSeconds > 0 || (object.metadata.finalizers?.length ?? 0) > 0 || isNamespaceInUse(kind, object)
    if (options.propagationPolicy === 'Orphan' && !dryRun) await this.#orphanDependents(object)
    if (!waits) {
      if (!dryRun) await this.#store.remove(slot)
      return { status: 200, body: success({ name: slot.name, group: kind.group, kind: kind.plural, uid: object.metadata.uid! }) }
    }
    const marked = this.#marked(kind, object, graceSeconds)
    const stored = dryRun || isDeepStrictEqual(marked, object) ? marked : await this.#store.put(slot, marked)
    return { status: 200, body: kind.toServed(stored) }
  }

  #marked(kind: ServedKind, object: KubeObject, graceSeconds: number): KubeObject {
    const { metadata } = object
    const shorter = metadata.deletionTimestamp !== undefined && graceSeconds >= (metadata.deletionGracePeriodSeconds ?? 0)
    if (shorter) return object
    const at = rfc3339Seconds(this.#env.clock.now() + graceSeconds * 1000)
    const generation = kind.hasGeneration ? { generation: (metadata.generation ?? 0) + 1 } : {}
    const marked = { ...object, metadata: { ...metadata, ...generation, deletionTimestamp: at, deletionGracePeriodSeconds: graceSeconds } }
    return kind.kind === 'Namespace' ? ({ ...marked, status: { phase: 'Terminating' } } as KubeObject) : marked
  }

  async #orphanDependents(owner: KubeObject): Promise<void> {
    for (const { slot, object } of this.#store.all()) {
      const owners = object.metadata.ownerReferences ?? []
      const others = owners.filter(({ uid }) => uid !== owner.metadata.uid)
      if (others.length < owners.length) await this.#store.put(slot, { ...object, metadata: { ...object.metadata, ownerReferences: others } })
    }
  }

  /** Server-written metadata; a status in what was sent is dropped. */
  #fresh(kind: ServedKind, given: KubeObject, namespace: string): KubeObject {
    const { status: _status, ...rest } = given as KubeObject & { status?: unknown }
    const { generateName, name, labels, annotations, finalizers, ownerReferences } = given.metadata
    const suffix = Buffer.from(this.#env.random.bytes(3)).toString('hex').slice(0, 5)
    const metadata: ObjectMeta = {
      name: name || (generateName ? `${generateName}${suffix}` : ''),
      ...(generateName ? { generateName } : {}),
      ...(kind.namespaced ? { namespace } : {}),
      uid: uuid(this.#env.random),
      creationTimestamp: rfc3339Seconds(this.#env.clock.now()),
      ...(kind.hasGeneration ? { generation: 1 } : {}),
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(finalizers?.length ? { finalizers } : {}),
      ...(ownerReferences?.length ? { ownerReferences } : {}),
    }
    const keepsStatus = !kind.hasStatus || kind.kind === 'CustomResourceDefinition'
    return { ...rest, ...(keepsStatus && 'status' in given ? { status: given.status } : {}), apiVersion: storedVersion(kind), kind: kind.kind, metadata }
  }

  #checkNamespace(kind: ServedKind, given: KubeObject, namespace: string): void {
    if (!kind.namespaced) return
    const { metadata } = given
    if (metadata.namespace && metadata.namespace !== namespace) {
      throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
    }
    const place = this.#store.get({ collection: 'core/namespaces', namespace: '', name: namespace })
    if (place === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace)
    if (place.metadata.deletionTimestamp && kind.kind !== 'Event') {
      throw new Refusal(403, 'Forbidden', `${kind.plural} "${metadata.name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`)
    }
  }
}

export interface DeleteOptions {
  uid?: string
  resourceVersion?: string
  gracePeriodSeconds?: number
  propagationPolicy?: string
}

function deleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  const given = (body ?? {}) as { preconditions?: { uid?: string; resourceVersion?: string }; gracePeriodSeconds?: number; propagationPolicy?: string }
  const grace = given.gracePeriodSeconds ?? (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined)
  const policy = given.propagationPolicy ?? query.get('propagationPolicy') ?? undefined
  return { ...given.preconditions, ...(grace === undefined ? {} : { gracePeriodSeconds: grace }), ...(policy === undefined ? {} : { propagationPolicy: policy }) }
}

function checkPreconditions(kind: ServedKind, object: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  const { metadata } = object
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(kind, metadata.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`)
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(kind, metadata.name, `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`)
  }
}

/** Only a pod on a node has a grace: nothing runs of others. */
function graceOf(kind: ServedKind, object: KubeObject, { gracePeriodSeconds }: DeleteOptions): number {
  const pod = object as Pod
  if (kind.kind !== 'Pod' || !pod.spec?.nodeName) return 0
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return gracePeriodSeconds === undefined ? 0 : gracePeriodSeconds
  return gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
}

function isNamespaceInUse(kind: ServedKind, object: KubeObject): boolean {
  return kind.kind === 'Namespace' && ((object as KubeObject & { spec?: { finalizers?: string[] } }).spec?.finalizers?.length ?? 0) > 0
}

/** Marked for deletion, and nothing holds it any more. A pod is taken away by kubelet alone. */
function isFinished({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && !metadata.finalizers?.length && !metadata.deletionGracePeriodSeconds
}

/** A status write changes the status and nothing else. */
function withStatusOf(old: KubeObject, sent: KubeObject): KubeObject {
  const { status: _old, ...rest } = old as KubeObject & { status?: unknown }
  const { status } = sent as KubeObject & { status?: unknown }
  return { ...rest, ...(status === undefined ? {} : { status }) }
}

/** Any other write leaves the status as it is, and the server's own metadata. */
function withoutStatusOf(kind: ServedKind, old: KubeObject, sent: KubeObject): KubeObject {
  const { status: _sent, ...rest } = sent as KubeObject & { status?: unknown }
  const { status } = old as KubeObject & { status?: unknown }
  const { labels, annotations, finalizers, ownerReferences } = sent.metadata
  const { labels: _l, annotations: _a, finalizers: _f, ownerReferences: _o, ...kept } = old.metadata
  const metadata = {
    ...kept,
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    ...(finalizers?.length ? { finalizers } : {}),
    ...(ownerReferences?.length ? { ownerReferences } : {}),
  }
  const carried = kind.hasStatus ? status : (sent as { status?: unknown }).status
  return { ...rest, apiVersion: old.apiVersion, kind: old.kind, metadata, ...(carried === undefined ? {} : { status: carried }) } as KubeObject
}

function withGeneration(kind: ServedKind, object: KubeObject, old: KubeObject): KubeObject {
  if (!kind.hasGeneration) return object
  const specOf = ({ metadata: _metadata, status: _status, ...rest }: KubeObject & { status?: unknown }): unknown => rest
  if (isDeepStrictEqual(specOf(object), specOf(old))) return object
  return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}

function checkMetadata(kind: ServedKind, sent: KubeObject, old: KubeObject, name: string, namespace: string): void {
  const { metadata } = sent
  if (metadata.name !== undefined && metadata.name !== name) throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
  if (metadata.namespace && metadata.namespace !== namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if (metadata.uid && metadata.uid !== old.metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`)
  }
  if (metadata.resourceVersion && metadata.resourceVersion !== old.metadata.resourceVersion) throw modified(kind, name)
  if (old.metadata.deletionTimestamp && (metadata.finalizers ?? []).some((finalizer) => !old.metadata.finalizers?.includes(finalizer))) {
    const message = 'Forbidden: no new finalizers can be added if the object is being deleted'
    throw invalid(kind, name, [{ reason: 'FieldValueForbidden', field: 'metadata.finalizers', message }])
  }
}

function objectOf(kind: ServedKind, body: unknown): KubeObject {
  const object = body as Partial<KubeObject> | undefined
  if (typeof object !== 'object' || object === null || Array.isArray(object)) throw badRequest('the body is not an object')
  if (object.kind !== undefined && object.kind !== kind.kind) throw badRequest(`${object.kind} in version "${object.apiVersion}" cannot be handled as a ${kind.kind}`)
  if (object.apiVersion !== undefined && object.apiVersion !== apiVersionOf(kind)) {
    throw badRequest(`the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersionOf(kind)})`)
  }
  return { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { ...object.metadata } as ObjectMeta }
}

function refuseReadOnly(kind: ServedKind, user: string, verb: string): void {
  if (kind.isReadOnly) throw forbidden(user, verb, kind, undefined, undefined)
}

/** The form that is stored; event faces share one. */
function storedVersion(kind: ServedKind): string {
  return kind.collection === 'core/events' ? 'v1' : apiVersionOf(kind)
}

function slotOf(kind: ServedKind, { namespace = '', name }: ObjectMeta): Slot {
  return { collection: kind.collection, namespace: kind.namespaced ? namespace : '', name }
}

function isDryRun(query: URLSearchParams): boolean {
  return query.get('dryRun') === 'All'
}

function validationOf(query: URLSearchParams): 'Strict' | 'Warn' | 'Ignore' {
  const given = query.get('fieldValidation')
  return given === 'Strict' || given === 'Ignore' ? given : 'Warn'
}

function warningHeaders(warnings: readonly string[]): Record<string, string> {
  return warnings.length === 0 ? {} : { warning: warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ') }
}
