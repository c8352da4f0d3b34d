import type { Volumes } from '../../crds/volumes.ts'
import type { Pod } from '../../kube/objects.ts'
import type { Container } from './restricted.ts'

type PodVolume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number]
type Mount = NonNullable<Container['volumeMounts']>[number]

/** Word by word: what the schema does not know reaches no pod, whatever an object holds. */
export function volumesOf(volumes: Volumes): PodVolume[] {
  return volumes.map(({ name, emptyDir, persistentVolumeClaim, secret, configMap, readOnly }) => {
    if (emptyDir) {
      const { sizeLimit, medium } = emptyDir
      return { name, emptyDir: { sizeLimit: String(sizeLimit), ...(medium ? { medium } : {}) } }
    }
    if (persistentVolumeClaim) {
      const { claimName } = persistentVolumeClaim
      return { name, persistentVolumeClaim: { claimName, ...(readOnly ? { readOnly } : {}) } }
    }
    if (secret) return { name, secret: { secretName: secret.secretName, ...itemsOf(secret) } }
    return { name, configMap: { name: configMap!.name, ...itemsOf(configMap!) } }
  })
}

export function mountsOf(volumes: Volumes): Mount[] {
  return volumes.map(({ name, mountPath, readOnly }) => ({ name, mountPath, ...(readOnly ? { readOnly } : {}) }))
}

function itemsOf({ items }: { items?: { key: string; path: string }[] | undefined }): { items?: { key: string; path: string }[] } {
  return items ? { items: items.map(({ key, path }) => ({ key, path })) } : {}
}
