import type { KubeObject, ObjectMeta } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import type { Slot } from './object-store.ts'
import { isObject } from './patch-merge.ts'
import type { ServedKind } from './served-kinds.ts'
import { checkShape } from './shape.ts'
import { badRequest, conflict, invalid, invalidValue, modified, unreadableVersion } from './statuses.ts'

/** Throws 400 when this is not the object that the URL names. */
export function checkPlace({ metadata }: KubeObject, { name, namespace }: Slot): void {
  if (!metadata.name) throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`)
  if (metadata.name !== name) throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
  if (metadata.namespace && metadata.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
}

/** Throws when this is not the state of the object that the caller saw. A patch that changes the uid is an invalid one. */
export function checkPreconditions(kind: ServedKind, { metadata }: KubeObject, old: KubeObject, isPatched: boolean): void {
  const { name } = old.metadata
  if (!isPatched && metadata.uid && metadata.uid !== old.metadata.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`)
  }
  const { resourceVersion } = metadata
  if (resourceVersion && !/^\d+$/.test(resourceVersion)) throw unreadableVersion(resourceVersion)
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw modified(kind, name)
  if (!metadata.resourceVersion && kind.needsResourceVersion) {
    throw invalid({ ...kind, kind: kind.plural }, name, [invalidValue('metadata.resourceVersion', 0, 'must be specified for an update')])
  }
}

/** The body as an object of the kind. Throws 400 when it is none. */
export function objectOf(kind: ServedKind, body: unknown): KubeObject {
  checkDepth(body)
  const object = kind.kind === 'ControllerRevision' ? body : withoutNulls(body)
  if (body === null && !kind.definition) return objectOf(kind, {}) // as Go reads it
  if (!isObject(object)) throw badRequest('the body is not an object')
  if (kind.definition) checkNamesKind(kind, object)
  const { kind: givenKind, apiVersion } = object as { kind?: string; apiVersion?: string }
  // Of a custom resource the kind is one of its fields, and wrong as others are (422).
  if (givenKind !== undefined && givenKind !== kind.kind && !kind.definition) {
    throw badRequest(`${givenKind} in version "${apiVersion}" cannot be handled as a ${kind.kind}`)
  }
  if (apiVersion !== undefined && apiVersion !== apiVersionOf(kind)) {
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${apiVersionOf(kind)})`)
  }
  checkShape(kind, object)
  return {
    ...object,
    apiVersion: apiVersionOf(kind),
    kind: givenKind ?? kind.kind,
    metadata: { ...(object['metadata'] as ObjectMeta | undefined) } as ObjectMeta,
  }
}

/** What its URL is about is not enough for a custom resource, as it is for built-in kinds. */
function checkNamesKind({ kind }: ServedKind, object: Record<string, unknown>): void {
  const missing = typeof object['kind'] === 'string' ? 'apiVersion' : 'Kind'
  if (missing === 'apiVersion' && typeof object['apiVersion'] === 'string') return
  const said = JSON.stringify(object).slice(0, LONGEST_QUOTE)
  throw badRequest(`the object provided is unrecognized (must be of type ${kind}): Object '${missing}' is missing in '${said}'`)
}

const LONGEST_QUOTE = 200

/** Deeper than any object that is meant, and far from where a walk through it could fail. */
const GREATEST_DEPTH = 200

export function checkDepth(value: unknown, left = GREATEST_DEPTH): void {
  if (typeof value !== 'object' || value === null) return
  if (left === 0) throw badRequest(`the body is nested more than ${GREATEST_DEPTH} levels deep`)
  for (const inner of Object.values(value)) checkDepth(inner, left - 1)
}

/** A null field is an absent one, as it is for the real server's types. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  const present = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(present.map(([key, inner]) => [key, withoutNulls(inner)]))
}
