import type { KubeObject } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'

/** The fields that a built-in kind has beside apiVersion, kind and metadata; in the stored form. */
const FIELDS: Record<string, readonly string[]> = {
  Namespace: ['spec', 'status'],
  Node: ['spec', 'status'],
  Pod: ['spec', 'status'],
  Secret: ['data', 'stringData', 'type', 'immutable'],
  ConfigMap: ['data', 'binaryData', 'immutable'],
  ServiceAccount: ['secrets', 'imagePullSecrets', 'automountServiceAccountToken'],
  Event: (
    'involvedObject related reason message source type count action eventTime series firstTimestamp lastTimestamp ' +
    'reportingComponent reportingInstance'
  ).split(' '),
  ControllerRevision: ['data', 'revision'],
  Lease: ['spec'],
  Role: ['rules'],
  ClusterRole: ['rules', 'aggregationRule'],
  RoleBinding: ['subjects', 'roleRef'],
  ClusterRoleBinding: ['subjects', 'roleRef'],
}
/** A map that is empty is not there. */
const OMITTED_EMPTY = new Set(['data', 'binaryData', 'stringData', 'secrets', 'imagePullSecrets'])
const OF_EVERY_KIND = ['apiVersion', 'kind', 'metadata']

export interface Typed {
  object: KubeObject
  /** What the type does not have, and so is gone. */
  unknown: string[]
}

/** A built-in object as a server with types for it reads it: without fields that the type does not know. Looks no deeper. */
export function typedForm(kind: ServedKind, object: KubeObject): Typed {
  const fields = FIELDS[kind.kind]
  if (fields === undefined) return { object, unknown: [] }
  const known = new Set([...OF_EVERY_KIND, ...fields])
  const entries = Object.entries(object) as [string, unknown][]
  const isLeftOut = ([name, value]: [string, unknown]): boolean =>
    !known.has(name) || (kind.kind !== 'ControllerRevision' && OMITTED_EMPTY.has(name) && isEmpty(value))
  return {
    object: Object.fromEntries(entries.filter((entry) => !isLeftOut(entry))) as unknown as KubeObject,
    unknown: entries.map(([name]) => name).filter((name) => !known.has(name)),
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
