import { isDeepStrictEqual } from 'node:util'
import type { KubeObject, ObjectMeta } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'

/** A status write changes the status and nothing else; of built-in kinds also labels, annotations and finalizers. */
export function withStatusOf(kind: ServedKind, old: KubeObject, sent: KubeObject): KubeObject {
  const { status: oldStatus, ...rest } = old as KubeObject & { status?: { qosClass?: string } }
  const { status: sentStatus } = sent as KubeObject & { status?: object }
  const status = kind.kind === 'Pod' ? { ...sentStatus, qosClass: oldStatus?.qosClass } : sentStatus
  const written = kind.definition ? old : withMetadataOf(old, { ...sent.metadata, ...ownersOf(old) })
  return { ...rest, metadata: written.metadata, ...(status === undefined ? {} : { status }) }
}

function ownersOf({ metadata: { ownerReferences = [] } }: KubeObject): Pick<ObjectMeta, 'ownerReferences'> {
  return { ownerReferences }
}

/** The server's own metadata stays. */
function withMetadataOf(old: KubeObject, sent: ObjectMeta): Pick<KubeObject, 'metadata'> {
  const { labels: _l, annotations: _a, finalizers: _f, ownerReferences: _o, ...kept } = old.metadata
  return { metadata: { ...kept, ...callersMetadata(sent) } }
}

/** Any other write leaves the status as it is, and the server's own metadata. */
export function withoutStatusOf(kind: ServedKind, old: KubeObject, sent: KubeObject): KubeObject {
  const { status: _sent, ...rest } = sent as KubeObject & { status?: unknown }
  const { status } = old as KubeObject & { status?: unknown }
  const carried = kind.hasStatus ? status : (sent as { status?: unknown }).status
  return {
    ...rest,
    apiVersion: old.apiVersion,
    kind: old.kind,
    ...withMetadataOf(old, sent.metadata),
    ...(carried === undefined ? {} : { status: carried }),
  } as KubeObject
}

/** What callers may write of the metadata; an empty map or list is none. */
export function callersMetadata({ labels, annotations, finalizers, ownerReferences }: ObjectMeta): Partial<ObjectMeta> {
  return {
    ...(Object.keys(labels ?? {}).length > 0 ? { labels: labels! } : {}),
    ...(Object.keys(annotations ?? {}).length > 0 ? { annotations: annotations! } : {}),
    ...(finalizers?.length ? { finalizers } : {}),
    ...(ownerReferences?.length ? { ownerReferences } : {}),
  }
}

/** Of kinds that count no generations the caller's own is kept, as the real server does. */
export function generationOf({ hasGeneration }: ServedKind, { generation }: ObjectMeta): Pick<ObjectMeta, 'generation'> {
  if (hasGeneration) return { generation: 1 }
  return generation ? { generation } : {}
}

export function withGeneration(kind: ServedKind, object: KubeObject, old: KubeObject): KubeObject {
  if (!kind.hasGeneration) return object
  const specOf = ({ metadata: _metadata, status: _status, ...rest }: KubeObject & { status?: unknown }): unknown => rest
  if (isDeepStrictEqual(specOf(object), specOf(old))) return object
  return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}
