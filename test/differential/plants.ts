/** Bugs planted in the embedded API, by which the differential test proves that it would find them. */
import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../../src/kube/objects.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { ObjectStore } from '../../src/local/api/object-store.ts'

/** Plants it in all embedded APIs of this process; call what it answers to take it out again. */
export type Plant = () => () => void

/** A watch begins one event too late: the classic off-by-one between a list and its watch. */
export const lostEventAtStart: Plant = () => {
  const { handle } = EmbeddedApi.prototype
  EmbeddedApi.prototype.handle = async function (call) {
    const after = Number(call.query.get('resourceVersion') ?? 0)
    if (call.query.get('watch') !== 'true' || !(after > 0)) return handle.call(this, call)
    const listed = await handle.call(this, { ...call, query: new URLSearchParams() })
    const now = Number((listed as { body: { metadata: { resourceVersion: string } } }).body.metadata.resourceVersion)
    const query = new URLSearchParams(call.query)
    if (after < now) query.set('resourceVersion', `${after + 1}`)
    return handle.call(this, { ...call, query })
  }
  return () => void (EmbeddedApi.prototype.handle = handle)
}

export const deleteIgnoresUid: Plant = () => {
  const { handle } = EmbeddedApi.prototype
  EmbeddedApi.prototype.handle = function (call) {
    const body = call.body as { preconditions?: { uid?: string } } | undefined
    if (call.method !== 'DELETE' || body?.preconditions?.uid === undefined) return handle.call(this, call)
    const { uid: _uid, ...preconditions } = body.preconditions
    return handle.call(this, { ...call, body: { ...body, preconditions } })
  }
  return () => void (EmbeddedApi.prototype.handle = handle)
}

export const statusRaisesGeneration: Plant = () => {
  const { put } = ObjectStore.prototype
  ObjectStore.prototype.put = function (slot, object) {
    const before = this.get(slot)
    const { generation } = object.metadata
    const isStatusWrite = before !== undefined && generation !== undefined && !isDeepStrictEqual(statusOf(before), statusOf(object))
    return put.call(this, slot, isStatusWrite ? { ...object, metadata: { ...object.metadata, generation: generation + 1 } } : object)
  }
  return () => void (ObjectStore.prototype.put = put)
}

function statusOf(object: KubeObject): unknown {
  return (object as { status?: unknown }).status
}
