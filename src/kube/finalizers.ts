import type { KubeClient } from './client.ts'
import { isConflict, isNotFound } from './errors.ts'
import type { KubeObject } from './objects.ts'
import type { Resource } from './resource.ts'

/** Compare-and-set: throws Conflict when the object moved meanwhile. An object that has it comes back as it is. */
export async function addFinalizer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<T> {
  const finalizers = object.metadata.finalizers ?? []
  return finalizers.includes(finalizer) ? object : patchFinalizers(client, resource, object, [...finalizers, finalizer])
}

/** Retries on the newer object; an object that is gone needs none. */
export async function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  object: T,
  finalizer: string,
): Promise<void> {
  try {
    const finalizers = object.metadata.finalizers ?? []
    const remaining = finalizers.filter((name) => name !== finalizer)
    if (remaining.length === finalizers.length) return
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
