import { ACCESS_KEY_TYPE, SYSTEM_NAMESPACE as NAMESPACE } from '../../crds/system.ts'
import { accessKeyOf, type AccessKey } from '../../gateway/auth/access-keys.ts'
import type { Random } from '../../env/random.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Secret } from '../../kube/objects.ts'
import { SECRETS } from '../../kube/resource.ts'

const NAME = 'local-access-key'
/** Kubernetes user that the local key acts as: the owner of the installation. */
export const LOCAL_USER = 'carrel-admin'

/** The access key of this installation; made at the first start, kept after it. */
export async function localAccessKey(admin: KubeClient, random: Random): Promise<AccessKey> {
  const existing = await admin.find(SECRETS, NAMESPACE, NAME)
  const known = existing && accessKeyOf(existing)
  if (known && known.notAfterMs === undefined) return known
  const written = {
    accessKeyId: `CARREL${letters(random, 14)}`,
    secretAccessKey: Buffer.from(random.bytes(30)).toString('base64url'),
    user: LOCAL_USER,
  }
  const data = Object.fromEntries(Object.entries(written).map(([name, value]) => [name, Buffer.from(value).toString('base64')]))
  const secret: Secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: NAME, namespace: NAMESPACE }, type: ACCESS_KEY_TYPE, data }
  await admin.create(SECRETS, secret)
  return { ...written, groups: [] }
}

function letters(random: Random, count: number): string {
  return Array.from(random.bytes(count), (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte % 32]).join('')
}
