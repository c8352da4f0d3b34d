/** An operation, as the request that a client with this memory sends. */
import type { ApiRequest, WatchRequest } from '../../src/kube/transport.ts'
import {
  COMMON_CHANGES,
  COMMON_JSON_PATCHES,
  COMMON_STRATEGIC_PATCHES,
  KINDS,
  collectionPath,
  type KindName,
  type TraceKind,
} from './kinds.ts'
import type { Memory } from './memory.ts'
import { merged } from './merge.ts'
import type { Create, Delete, DeleteCollection, List, Operation, Patch, Replace, Subresource, Trace, Watch } from './operation.ts'
import { SELECTORS } from './selectors.ts'

export interface Place {
  namespace: string
  kinds: readonly KindName[]
  memory: Memory
}

const CONTENT_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}

export function kindOf({ kinds }: Pick<Trace, 'kinds'>, { kind }: Operation): TraceKind {
  return KINDS[at(kinds, kind)]
}

export function requestOf(operation: Exclude<Operation, Watch>, place: Place): ApiRequest {
  const kind = kindOf(place, operation)
  const path = collectionPath(kind, place.namespace)
  switch (operation.verb) {
    case 'create':
      return { method: 'POST', path, body: createdOf(operation, kind, place), ...(operation.dryRun ? { query: { dryRun: 'All' } } : {}) }
    case 'get':
      return { method: 'GET', path: `${path}/${operation.name}` }
    case 'list':
      return { method: 'GET', path, query: listQuery(operation) }
    case 'replace':
      return { method: 'PUT', path: pathOf(path, operation), body: replacedOf(operation, kind, place) }
    case 'patch':
      return {
        method: 'PATCH',
        path: pathOf(path, operation),
        body: patchOf(operation, kind, place),
        contentType: CONTENT_TYPES[operation.type],
      }
    case 'delete':
      return { method: 'DELETE', path: `${path}/${operation.name}`, body: deleteOptionsOf(operation, kind, place) }
    case 'deletecollection':
      return { method: 'DELETE', path, query: SELECTORS[operation.selector]!.query, body: collectionOptionsOf(operation) }
  }
}

export function watchOf(operation: Watch, place: Place): WatchRequest {
  const kind = kindOf(place, operation)
  const version = watchVersion(operation, kind, place)
  return {
    path: collectionPath(kind, place.namespace),
    query: { watch: 'true', ...SELECTORS[operation.selector]!.query, ...(version === undefined ? {} : { resourceVersion: version }) },
  }
}

function watchVersion({ from }: Watch, kind: TraceKind, { memory }: Place): string | undefined {
  switch (from) {
    case 'unset':
      return undefined
    case 'zero':
      return '0'
    case 'old':
      // Of events a real server keeps no cache: it forgets them only when etcd is compacted.
      return kind.plural === 'events' ? memory.version(kind.plural, 'first') : '1'
    case 'garbage':
      return 'garbage'
    case 'first':
    case 'last':
      return memory.version(kind.plural, from)
  }
}

function listQuery({ selector, limit, from }: List): Record<string, string> {
  return {
    ...SELECTORS[selector]!.query,
    ...(limit > 0 ? { limit: String(limit) } : {}),
    ...(from === 'zero' ? { resourceVersion: '0' } : {}),
  }
}

function pathOf(path: string, { name, subresource }: { name: string; subresource: Subresource }): string {
  return `${path}/${name}${subresource === 'status' ? '/status' : ''}`
}

/** All of a kind, and for the status also the changes of it, which come first. */
export function changesOf(kind: TraceKind, subresource: Subresource = 'none'): readonly object[] {
  const all = [...kind.changes, ...COMMON_CHANGES]
  return subresource === 'status' ? [...kind.statusChanges, ...all] : all
}

/** An object of the kind, without metadata. */
export function freshOf({ apiVersion, kind }: TraceKind, content: object, namespace: string): object {
  return JSON.parse(JSON.stringify({ apiVersion, kind, ...content }).replaceAll('$namespace', namespace)) as object
}

function createdOf({ name, object, changes }: Create, kind: TraceKind, { namespace }: Place): unknown {
  return changed({ ...freshOf(kind, at(kind.objects, object), namespace), metadata: { name } }, changesOf(kind), changes)
}

function replacedOf(operation: Replace, kind: TraceKind, { namespace, memory }: Place): unknown {
  const { name, base, uid, version, subresource } = operation
  const remembered = base === 'remembered' ? memory.newest(kind.plural, name) : undefined
  const start = remembered ?? { ...freshOf(kind, kind.objects[0]!, namespace), metadata: { name } }
  const metadata = {
    uid: memory.field(kind.plural, name, 'uid', uid) ?? null,
    resourceVersion: memory.field(kind.plural, name, 'resourceVersion', version) ?? null,
  }
  return changed(merged(start, { metadata }), changesOf(kind, subresource), operation.changes)
}

function patchOf(operation: Patch, kind: TraceKind, { memory }: Place): unknown {
  const { type, change, name } = operation
  const uid = memory.field(kind.plural, name, 'uid', operation.uid)
  const resourceVersion = memory.field(kind.plural, name, 'resourceVersion', operation.version)
  const preconditions = { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) }
  if (type === 'json') {
    const tests = Object.entries(preconditions).map(([field, value]) => ({ op: 'replace', path: `/metadata/${field}`, value }))
    return [...tests, ...at([...kind.jsonPatches, ...COMMON_JSON_PATCHES], change)]
  }
  const patches = type === 'merge' ? changesOf(kind, operation.subresource) : [...kind.strategicPatches, ...COMMON_STRATEGIC_PATCHES]
  const patch = at(patches, change)
  return Object.keys(preconditions).length === 0
    ? patch
    : { ...patch, metadata: { ...(patch as { metadata?: object }).metadata, ...preconditions } }
}

function deleteOptionsOf(operation: Delete, kind: TraceKind, { memory }: Place): object {
  const { name, graceSeconds, policy, dryRun } = operation
  const uid = memory.field(kind.plural, name, 'uid', operation.uid)
  const resourceVersion = memory.field(kind.plural, name, 'resourceVersion', operation.version)
  return {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    ...(uid || resourceVersion ? { preconditions: { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) } } : {}),
    ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(dryRun ? { dryRun: ['All'] } : {}),
  }
}

function collectionOptionsOf({ graceSeconds }: DeleteCollection): object {
  return { apiVersion: 'v1', kind: 'DeleteOptions', ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }) }
}

function changed(object: unknown, all: readonly object[], chosen: readonly number[]): unknown {
  return chosen.reduce((before, index) => merged(before, at(all, index)), object)
}

function at<Value>(list: readonly Value[], index: number): Value {
  return list[index % list.length]!
}
