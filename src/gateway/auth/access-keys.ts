import type { Secret } from '../../kube/objects.ts'

/** Type of the Secrets that map an access key to a Kubernetes user. They count in Carrel's own namespace only (security rule 1). */
export const ACCESS_KEY_TYPE = 'carrel.dev/access-key'

export interface AccessKey {
  accessKeyId: string
  secretAccessKey: string
  /** Kubernetes user name: the owner of what the key opens, so that keys can rotate. */
  user: string
}

export interface AccessKeys {
  find(accessKeyId: string): AccessKey | undefined
}

/** Undefined for a Secret that is of another type, incomplete, or claims a `system:` user. */
export function accessKeyOf(secret: Secret): AccessKey | undefined {
  if (secret.type !== ACCESS_KEY_TYPE) return undefined
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8')
  const key = { accessKeyId: field('accessKeyId'), secretAccessKey: field('secretAccessKey'), user: field('user') }
  if (!key.accessKeyId || !key.secretAccessKey || !key.user || key.user.startsWith('system:')) return undefined
  return key
}
