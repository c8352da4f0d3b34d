import { ACCESS_KEY_TYPE, SYSTEM_NAMESPACE } from '../../crds/system.ts'
import { rfc3339Seconds } from '../../env/clock.ts'
import type { Random } from '../../env/random.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Secret } from '../../kube/objects.ts'
import { SECRETS } from '../../kube/resource.ts'
import { misuse } from '../failure.ts'

/** What every command on keys needs, for a refusal that says so. */
export const NEEDED = { verbs: 'list,create,update,delete', resource: 'secrets', namespace: SYSTEM_NAMESPACE }

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const LONGEST_NAME = 256
const MOST_GROUPS = 32

export interface NewKey {
  accessKeyId: string
  secretAccessKey: string
  user: string
  groups: readonly string[]
}

/** What a Secret says of a key, without its secret. */
export interface KnownKey {
  accessKeyId: string
  user: string
  groups: readonly string[]
  createdAtMs: number | undefined
  notAfterMs: number | undefined
  /** Why gateways take no notice of it. */
  ignored: string | undefined
  secret: Secret
}

/** Twenty characters, as SDKs and logs know them, and 240 random bits. */
export function newKey(random: Random, { user, groups }: { user: string; groups: readonly string[] }): NewKey {
  checkName(user, 'user')
  if (groups.length > MOST_GROUPS) throw misuse(`--group can be given ${MOST_GROUPS} times at most`)
  for (const group of groups) {
    checkName(group, 'group')
    if (group.includes(',')) throw misuse(`--group ${JSON.stringify(group)} holds a comma: give --group once for each`)
  }
  return {
    accessKeyId: `CARREL${Array.from(random.bytes(14), (byte) => LETTERS[byte % 32]).join('')}`,
    secretAccessKey: Buffer.from(random.bytes(30)).toString('base64url'),
    user,
    groups: [...new Set(groups)],
  }
}

/** Names of Kubernetes' own are nobody's to give (security rule 1). */
function checkName(name: string, what: 'user' | 'group'): void {
  const flag = `--${what} ${JSON.stringify(name.slice(0, 80))}`
  if (name.trim() === '') throw misuse(`--${what} must not be empty: it is the Kubernetes ${what} that RBAC knows`)
  if (name !== name.trim() || /\p{Cc}/u.test(name)) throw misuse(`${flag} begins or ends with a space, or holds control characters`)
  if (name.length > LONGEST_NAME) throw misuse(`${flag}… has ${name.length} characters: ${LONGEST_NAME} at most`)
  if (name.startsWith('system:'))
    throw misuse(`${flag}: names that begin with "system:" are Kubernetes' own, and gateways ignore such keys`)
}

export function secretOf(key: NewKey): Secret {
  const { accessKeyId, secretAccessKey, user, groups } = key
  const fields = { accessKeyId, secretAccessKey, user, ...(groups.length === 0 ? {} : { groups: groups.join(',') }) }
  const data = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, encoded(value)]))
  const metadata = { name: secretNameOf(accessKeyId), namespace: SYSTEM_NAMESPACE }
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: ACCESS_KEY_TYPE, data }
}

export function secretNameOf(accessKeyId: string): string {
  return `access-key-${accessKeyId.toLowerCase()}`
}

/** The same Secret, whose key is nobody's after that moment. */
export function endingAt(secret: Secret, notAfterMs: number): Secret {
  return { ...secret, data: { ...secret.data, notAfter: encoded(rfc3339Seconds(notAfterMs)) } }
}

export function knownKey(secret: Secret): KnownKey {
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8')
  const groups = field('groups')
    .split(',')
    .map((group) => group.trim())
    .filter((group) => group !== '')
  const key = { accessKeyId: field('accessKeyId'), user: field('user'), groups }
  const notAfter = field('notAfter')
  const notAfterMs = notAfter === '' ? undefined : Date.parse(notAfter)
  const createdAtMs = Date.parse(secret.metadata.creationTimestamp ?? '')
  return {
    ...key,
    createdAtMs: Number.isNaN(createdAtMs) ? undefined : createdAtMs,
    notAfterMs: Number.isNaN(notAfterMs) ? undefined : notAfterMs,
    ignored: faultOf(key, field('secretAccessKey'), notAfterMs),
    secret,
  }
}

function faultOf(
  key: { accessKeyId: string; user: string; groups: readonly string[] },
  secretAccessKey: string,
  notAfterMs: number | undefined,
) {
  if (!key.accessKeyId || !secretAccessKey || !key.user) return 'incomplete'
  if ([key.user, ...key.groups].some((name) => name.startsWith('system:'))) return 'names system:'
  return Number.isNaN(notAfterMs) ? 'its notAfter is no time' : undefined
}

/** Every key of the installation, oldest first. */
export async function allKeys(client: KubeClient): Promise<KnownKey[]> {
  const { items } = await client.list(SECRETS, { namespace: SYSTEM_NAMESPACE, fieldSelector: `type=${ACCESS_KEY_TYPE}` })
  return items.map(knownKey).toSorted((a, b) => (a.createdAtMs ?? 0) - (b.createdAtMs ?? 0) || (a.accessKeyId < b.accessKeyId ? -1 : 1))
}

/** By its id, whatever its Secret is named. Throws a misuse when the id can be none. */
export async function findKey(client: KubeClient, accessKeyId: string): Promise<KnownKey | undefined> {
  if (!/^[A-Za-z0-9_-]{3,128}$/.test(accessKeyId)) {
    throw misuse(`${JSON.stringify(accessKeyId.slice(0, 80))} is no id of an access key: \`carrel keys list\` shows them`)
  }
  return (await allKeys(client)).find((key) => key.accessKeyId === accessKeyId)
}

function encoded(value: string): string {
  return Buffer.from(value).toString('base64')
}
