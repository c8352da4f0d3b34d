import { isDeepStrictEqual } from 'node:util'
import { rfc3339Seconds } from '../../env/clock.ts'
import { uuid } from '../../env/random.ts'
import type { KubeObject, ObjectMeta, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { ApiAnswer, ApiEnv, Identity } from './call.ts'
import { patchedFrom, sentIn, type UpdateRequest } from './asked-object.ts'
import { afterDelete, checkDeletable, deleteOptions, isFinished, lastMark, type DeleteOptions } from './delete.ts'
import { callersMetadata, generationOf, withGeneration, withStatusOf, withoutStatusOf } from './merged-object.ts'
import { applyRules } from './object-rules.ts'
import type { ObjectStore, Slot } from './object-store.ts'
import { itemsOf, matcherOf, type Request } from './read.ts'
import type { Grant } from './rbac/escalation.ts'
import { checkPreconditions, objectOf } from './sent-object.ts'
import type { ServedKind } from './served-kinds.ts'
import { Refusal, alreadyExists, badRequest, conflict, forbidden, namespaceEnds, notFound, success } from './statuses.ts'
import { checkFields } from './unknown-fields.ts'
import { writeOptions, type WriteOptions } from './write-options.ts'

type Named = Request & { name: string }

/** What generateName keeps of a longer one. */
const LONGEST_PREFIX = 58

/** POST, PUT, PATCH and DELETE. Each runs alone, from reading what is to the durable commit. */
export class Writer {
  readonly #env: ApiEnv
  readonly #store: ObjectStore
  readonly #kinds: readonly ServedKind[]
  readonly #checkGrant: (grant: Grant) => void

  /** `checkGrant` throws where a caller would give away rights that it does not have. */
  constructor(env: ApiEnv, store: ObjectStore, kinds: readonly ServedKind[], checkGrant: (grant: Grant) => void) {
    this.#env = env
    this.#store = store
    this.#kinds = kinds
    this.#checkGrant = checkGrant
  }

  /** Makes an object that every installation has. */
  async ensure(kindName: string, object: KubeObject): Promise<void> {
    const kind = this.#kinds.find(({ kind: name }) => name === kindName)!
    await this.#store.exclusively(async () => {
      const slot = slotOf(kind, object.metadata)
      if (this.#store.get(slot)) return
      const fresh = this.#fresh(kind, object, object.metadata.namespace ?? '')
      await this.#store.put(slot, kind.isReadOnly ? fresh : applyRules({ kind, object: fresh }))
    })
  }

  create({ kind, namespace, call }: Request): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'create')
      const options = writeOptions(call.query, 'CreateOptions')
      const given = objectOf(kind, call.body)
      if (given.metadata.resourceVersion) throw new Refusal(500, '', 'resourceVersion should not be set on objects to be created')
      return this.#created({ kind, namespace, name: '', call }, given, options)
    })
  }

  async #created({ kind, namespace, name, call: { identity } }: Named, given: KubeObject, options: WriteOptions): Promise<ApiAnswer> {
    const sent = kind.toStored(given)
    const headers = warningHeaders(checkFields(kind, sent, options))
    this.#checkNamespace(kind, given, namespace)
    const fresh = this.#fresh(kind, sent, namespace)
    this.#checkGrant({ kind, object: fresh, identity, namespace, name })
    const object = warned(headers, () => applyRules({ kind, object: fresh }))
    const slot = slotOf(kind, object.metadata)
    const existing = this.#store.get(slot)
    if (existing) throw alreadyExists(kind, object.metadata.name, existing.metadata.deletionTimestamp !== undefined)
    const stored = options.isDryRun ? object : await this.#store.put(slot, object)
    return { status: 201, headers, body: kind.toServed(stored) }
  }

  update(request: UpdateRequest): Promise<ApiAnswer> {
    const { kind, namespace, name, call, subresource } = request
    return this.#store.exclusively(async () => {
      refuseReadOnly(kind, call.identity.user, 'update')
      const slot = { collection: kind.collection, namespace, name }
      const options = writeOptions(call.query, call.method === 'PATCH' ? 'PatchOptions' : 'UpdateOptions')
      const given = sentIn(request, slot)
      const old = this.#store.get(slot)
      if (old !== undefined) return this.#updated(request, options, slot, old, given ?? patchedFrom(request, old, slot))
      if (given === undefined || !kind.createsOnUpdate || subresource !== undefined) throw notFound(kind, name)
      if (given.metadata.uid)
        throw conflict(kind, name, `Precondition failed: UID in precondition: ${given.metadata.uid}, UID in object meta: `)
      return this.#created(request, { ...given, metadata: { ...given.metadata, name } }, options)
    })
  }

  async #updated(
    { kind, namespace, name, call, subresource }: UpdateRequest,
    options: WriteOptions,
    slot: Slot,
    old: KubeObject,
    given: KubeObject,
  ): Promise<ApiAnswer> {
    const isPatched = call.method === 'PATCH'
    const sent = kind.toStored(given)
    const headers = warningHeaders(checkFields(kind, sent, options, isPatched))
    checkPreconditions(kind, sent, old, isPatched)
    if (subresource === 'status') refuseRelabelling(kind, call.identity, old, sent)
    const merged = subresource === 'status' ? withStatusOf(kind, old, sent) : withoutStatusOf(kind, old, sent)
    this.#checkGrant({ kind, object: merged, old, identity: call.identity, namespace, name })
    const ruled = warned(headers, () => applyRules({ kind, object: merged, old, sent, ...(subresource ? { subresource } : {}) }))
    const object = withGeneration(kind, ruled, old)
    if (options.isDryRun) return { status: 200, headers, body: kind.toServed(object) }
    if (isFinished(kind, object)) {
      await this.#store.remove(slot)
      return { status: 200, headers, body: kind.toServed(object) } // as it was sent, at the version that it replaces
    }
    if (isDeepStrictEqual(object, old)) return { status: 200, headers, body: kind.toServed(old) }
    return { status: 200, headers, body: kind.toServed(await this.#store.put(slot, object)) }
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
      const metadata = { ...(kind.definition ? { continue: '' } : {}), resourceVersion: String(this.#store.resourceVersion) } // of the list before: a watch from there sees them go
      for (const object of chosen) await this.deleteNow(kind, slotOf(kind, object.metadata), options)
      return { status: 200, body: { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: itemsOf(kind, chosen) } }
    })
  }

  /** POST pods/binding: what a scheduler does. */
  bind({ kind, namespace, name, call }: Named): Promise<ApiAnswer> {
    return this.#store.exclusively(async () => {
      const { metadata, target: { name: target } = {} } = (call.body ?? {}) as { metadata?: { name?: string }; target?: { name?: string } }
      if (metadata?.name !== name) throw badRequest('name in URL does not match name in Binding object')
      const slot = { collection: kind.collection, namespace, name }
      const pod = this.#store.get(slot) as Pod | undefined
      if (pod === undefined) throw notFound(kind, name)
      if (!target) throw new Refusal(500, '', 'target.name: Required value')
      const refused = (why: string): Refusal => conflict({ group: '', plural: 'pods/binding' }, name, `pod ${name} is ${why}`)
      if (pod.metadata.deletionTimestamp) throw refused('being deleted, cannot be assigned to a host')
      if (pod.spec?.nodeName) throw refused(`already assigned to node "${pod.spec.nodeName}"`)
      await this.#store.put(slot, boundTo(target, pod, this.#env.clock.now()))
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
    const mark = lastMark(kind, object, this.#env.clock.now())
    if (mark !== undefined && !options.dryRun) await this.#store.put(slot, mark)
    const last = options.dryRun ? (mark ?? object) : await this.#store.remove(slot)
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
      ...generationOf(kind, given.metadata),
      ...callersMetadata(given.metadata),
    }
    const keepsStatus = !kind.hasStatus || kind.kind === 'CustomResourceDefinition'
    return {
      ...rest,
      ...(keepsStatus && 'status' in given ? { status: given.status } : {}),
      apiVersion: storedVersion(kind),
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

/** As the NodeRestriction of a real server has it: a pod's labels say whose it is, and that is no kubelet's to say. */
function refuseRelabelling(kind: ServedKind, { groups }: Identity, old: KubeObject, sent: KubeObject): void {
  if (kind.kind !== 'Pod' || !groups.includes('system:nodes')) return
  if (isDeepStrictEqual(old.metadata.labels ?? {}, sent.metadata.labels ?? {})) return
  const { name } = old.metadata
  throw new Refusal(403, 'Forbidden', `pods "${name}" is forbidden: a node cannot update labels through pod status`, { name, kind: 'pods' })
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

function boundTo(nodeName: string, pod: Pod, nowMs: number): Pod {
  const others = pod.status?.conditions?.filter(({ type }) => type !== 'PodScheduled') ?? []
  const scheduled = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: rfc3339Seconds(nowMs) }
  return { ...pod, spec: { ...pod.spec!, nodeName }, status: { ...pod.status, conditions: [...others, scheduled] } } as Pod
}

/** A refusal has the warnings, too. */
function warned(headers: Record<string, string>, rule: () => KubeObject): KubeObject {
  try {
    return rule()
  } catch (error) {
    if (error instanceof Refusal) Object.assign(error.headers, headers)
    throw error
  }
}

function warningHeaders(warnings: readonly string[]): Record<string, string> {
  return warnings.length === 0 ? {} : { warning: warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ') }
}
