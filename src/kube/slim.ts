import type { KubeObject } from './objects.ts'

/** Who an object is and whose, without what it holds: what a watch-fed copy of ten thousand keeps of each, beside a few fields. */
export function withoutContent({ apiVersion, kind, metadata }: KubeObject): Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'> {
  const { name, namespace, uid, resourceVersion, labels, ownerReferences, deletionTimestamp } = metadata
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace: namespace!,
      uid: uid!,
      resourceVersion: resourceVersion!,
      labels: labels ?? {},
      ownerReferences: ownerReferences ?? [],
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
  }
}
