import type { KubeClient } from './client.ts'
import { isConflict, isNotFound } from './errors.ts'
import type { KubeObject } from './objects.ts'
import type { Resource } from './resource.ts'

/** Compare-and-set: throws Conflict when the object moved meanwhile. */
export function addFinalizer<T extends KubeObject>(client: KubeClient, resource: Resource<T>, object: T, finalizer: string): Promise<T> {
  return patchFinalizers(client, resource, object, [...(object.metadata.finalizers ?? []), finalizer])
}

/** Retries on the newer object; an object that is gone needs none. */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<void> {
  try {
    const remaining = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer)
    if (remaining.length === object.metadata.finalizers?.length) return
    await patchFinalizers(client, resource, object, remaining)
  } catch (error) {
    if (isNotFound(error)) return
    if (!isConflict(error)) throw error
    const current = await client.find(resource, object.metadata.namespace, object.metadata.name)
    if (current?.metadata.uid === object.metadata.uid) await removeFinalizer(client, resource, current!, finalizer)
  }
}

function patchFinalizers<T extends KubeObject>(client: KubeClient, resource: Resource<T>, object: T, finalizers: string[]): Promise<T> {
  const { namespace, name, uid, resourceVersion } = object.metadata
  return client.mergePatch(resource, namespace, name, { metadata: { finalizers } }, { uid: uid!, resourceVersion: resourceVersion! })
}
