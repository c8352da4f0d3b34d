import { isDeepStrictEqual } from 'node:util'
import { rfc3339Seconds } from '../../env/clock.ts'
import { uuid } from '../../env/random.ts'
import type { KubeObject, ObjectMeta, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiAnswer, ApiEnv } from './api.ts'
import { afterDelete, checkDeletable, deleteOptions, isFinished, type DeleteOptions } from './delete.ts'
import { applyRules } from './object-rules.ts'
import type { ObjectStore, Slot } from './object-store.ts'
import { patched } from './patch.ts'
import { matcherOf, type Request } from './read.ts'
import { checkDepth, checkMetadata, objectOf } from './sent-object.ts'
import type { ServedKind } from './served-kinds.ts'
import { Refusal, alreadyExists, badRequest, conflict, forbidden, namespaceEnds, notFound, success } from './statuses.ts'

type Named = Request & { name: string }
type UpdateRequest = Named & { subresource?: 'status' }

/** What generateName keeps of a longer one. */
const LONGEST_PREFIX = 248

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

  /** Makes an object that every installation has. */
  async ensure(kindName: string, object: KubeObject): Promise<void> {
    const kind = this.#kinds.find(({ kind: name }) => name === kindName)!
    await this.#store.exclusively(async () => {
      const slot = slotOf(kind, object.metadata)
      if (this.#store.get(slot)) return
      const fresh = this.#fresh(kind, object, '')
      await this.#store.put(slot, kind.isReadOnly ? fresh : applyRules({ kind, object: fresh, fieldValidation: 'Ignore' }).object)
    })
  }

  create({ kind, namespace, call }: Request): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'create')
      const given = objectOf(kind, call.body)
      if (given.metadata.resourceVersion) throw new Refusal(500, '', 'resourceVersion should not be set on objects to be created')
      this.#checkNamespace(kind, given, namespace)
      const { object, warnings } = applyRules({
        kind,
        object: this.#fresh(kind, kind.toStored(given), namespace),
        fieldValidation: validationOf(call.query),
      })
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
      const isPatched = call.method === 'PATCH'
      checkDepth(call.body)
      const sent = kind.toStored(
        objectOf(kind, isPatched ? patched(kind.toServed(old), call.contentType, call.body, kind.definition === undefined) : call.body),
      )
      checkMetadata(kind, sent, old, slot)

      const merged = subresource === 'status' ? withStatusOf(old, sent) : withoutStatusOf(kind, old, sent)
      const ruled = applyRules({
        kind,
        object: merged,
        old,
        fieldValidation: validationOf(call.query),
        isPatched,
        ...(subresource ? { subresource } : {}),
      })
      const object = withGeneration(kind, ruled.object, old)
      const headers = warningHeaders(ruled.warnings)
      if (isDryRun(call.query)) return { status: 200, headers, body: kind.toServed(object) }
      if (isFinished(kind, object)) return { status: 200, headers, body: kind.toServed(await this.#store.remove(slot)) }
      if (isDeepStrictEqual(object, old)) return { status: 200, headers, body: kind.toServed(old) }
      return { status: 200, headers, body: kind.toServed(await this.#store.put(slot, object)) }
    })
  }

  delete({ kind, namespace, name, call }: Named): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'delete')
      return this.deleteNow(kind, { collection: kind.collection, namespace, name }, deleteOptions(call.body, call.query))
    })
  }

  deleteCollection({ kind, namespace, call }: Request): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'deletecollection')
      const chosen = this.#store.list(kind.collection, kind.namespaced ? namespace : undefined).filter(matcherOf(kind, call.query))
      const options = deleteOptions(call.body, call.query)
      for (const object of chosen) await this.deleteNow(kind, slotOf(kind, object.metadata), options)
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
      if (pod.spec?.nodeName)
        throw conflict({ group: '', plural: 'pods/binding' }, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`)
      await this.#store.put(slot, { ...pod, spec: { ...pod.spec!, nodeName: target } } as Pod)
      return { status: 201, body: success(201) }
    })
  }

  /**
   * Inside `exclusively`. With finalizers, or a running pod's grace, the object stays, marked; the last finalizer's removal
   * or kubelet's delete without grace takes it away.
   */
  async deleteNow(kind: ServedKind, slot: Slot, options: DeleteOptions): Promise<ApiAnswer> {
    const object = this.#store.get(slot)
    if (object === undefined) throw notFound(kind, slot.name)
    checkDeletable(kind, object, options)
    if (options.propagationPolicy === 'Orphan' && !options.dryRun) await this.#orphanDependents(object)
    const left = afterDelete(kind, object, options, this.#env.clock.now())
    if (left !== undefined) {
      const stored = options.dryRun || left === object ? left : await this.#store.put(slot, left)
      return { status: 200, body: kind.toServed(stored) }
    }
    const last = options.dryRun ? object : await this.#store.remove(slot)
    if (kind.answersDeleted) return { status: 200, body: kind.toServed(last) }
    return { status: 200, body: success(200, { name: slot.name, group: kind.group, kind: kind.plural, uid: object.metadata.uid! }) }
  }

  async #orphanDependents(owner: KubeObject): Promise<void> {
    for (const { slot, object } of this.#store.all()) {
      const { ownerReferences: owners = [], ...metadata } = object.metadata
      const others = owners.filter(({ uid }) => uid !== owner.metadata.uid)
      if (others.length === owners.length) continue
      await this.#store.put(slot, { ...object, metadata: { ...metadata, ...(others.length > 0 ? { ownerReferences: others } : {}) } })
    }
  }

  /** Server-written metadata; a status in what was sent is dropped. */
  #fresh(kind: ServedKind, given: KubeObject, namespace: string): KubeObject {
    const { status: _status, ...rest } = given as KubeObject & { status?: unknown }
    const { generateName, name } = given.metadata
    const suffix = Buffer.from(this.#env.random.bytes(3)).toString('hex').slice(0, 5)
    const metadata: ObjectMeta = {
      name: name || (generateName ? `${generateName.slice(0, LONGEST_PREFIX)}${suffix}` : ''),
      ...(generateName ? { generateName } : {}),
      ...(kind.namespaced ? { namespace } : {}),
      uid: uuid(this.#env.random),
      creationTimestamp: rfc3339Seconds(this.#env.clock.now()),
      ...(kind.hasGeneration ? { generation: 1 } : {}),
      ...callersMetadata(given.metadata),
    }
    const keepsStatus = !kind.hasStatus || kind.kind === 'CustomResourceDefinition'
    return {
      ...rest,
      ...(keepsStatus && 'status' in given ? { status: given.status } : {}),
      apiVersion: storedVersion(kind),
      kind: kind.kind,
      metadata,
    }
  }

  #checkNamespace(kind: ServedKind, given: KubeObject, namespace: string): void {
    if (!kind.namespaced) return
    const { metadata } = given
    if (metadata.namespace && metadata.namespace !== namespace) {
      throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
    }
    const place = this.#store.get({ collection: 'core/namespaces', namespace: '', name: namespace })
    if (place === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace)
    if (place.metadata.deletionTimestamp) throw namespaceEnds(kind, metadata.name, namespace)
  }
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
  const { labels: _l, annotations: _a, finalizers: _f, ownerReferences: _o, ...kept } = old.metadata
  const metadata = { ...kept, ...callersMetadata(sent.metadata) }
  const carried = kind.hasStatus ? status : (sent as { status?: unknown }).status
  return {
    ...rest,
    apiVersion: old.apiVersion,
    kind: old.kind,
    metadata,
    ...(carried === undefined ? {} : { status: carried }),
  } as KubeObject
}

/** What callers may write of the metadata; an empty map or list is none. */
function callersMetadata({ labels, annotations, finalizers, ownerReferences }: ObjectMeta): Partial<ObjectMeta> {
  return {
    ...(Object.keys(labels ?? {}).length > 0 ? { labels: labels! } : {}),
    ...(Object.keys(annotations ?? {}).length > 0 ? { annotations: annotations! } : {}),
    ...(finalizers?.length ? { finalizers } : {}),
    ...(ownerReferences?.length ? { ownerReferences } : {}),
  }
}

function withGeneration(kind: ServedKind, object: KubeObject, old: KubeObject): KubeObject {
  if (!kind.hasGeneration) return object
  const specOf = ({ metadata: _metadata, status: _status, ...rest }: KubeObject & { status?: unknown }): unknown => rest
  if (isDeepStrictEqual(specOf(object), specOf(old))) return object
  return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
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
