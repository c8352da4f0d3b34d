import { ACCESS_KEY_TYPE } from '../../crds/system.ts'
import type { Secret } from '../../kube/objects.ts'

export interface AccessKey {
  accessKeyId: string
  secretAccessKey: string
  /** Kubernetes user name: the owner of what the key opens, so that keys can rotate. */
  user: string
  /** Kubernetes groups of the user, beside system:authenticated. */
  groups: readonly string[]
  /** Wall time after which the key is nobody's: set when it was rotated. */
  notAfterMs?: number
}

export interface AccessKeys {
  /** The key, unless its time is over. */
  find(accessKeyId: string, nowMs: number): AccessKey | undefined
}

/** Undefined for a Secret that is of another type, incomplete, or claims a `system:` user or group (security rule 1). */
export function accessKeyOf(secret: Secret): AccessKey | undefined {
  if (secret.type !== ACCESS_KEY_TYPE) return undefined
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8')
  const key = { accessKeyId: field('accessKeyId'), secretAccessKey: field('secretAccessKey'), user: field('user') }
  const groups = field('groups')
    .split(',')
    .map((group) => group.trim())
    .filter((group) => group !== '')
  if (!key.accessKeyId || !key.secretAccessKey || !key.user) return undefined
  if ([key.user, ...groups].some((name) => name.startsWith('system:'))) return undefined
  const notAfter = field('notAfter')
  if (notAfter === '') return { ...key, groups }
  const notAfterMs = Date.parse(notAfter)
  return Number.isNaN(notAfterMs) ? undefined : { ...key, groups, notAfterMs }
}
