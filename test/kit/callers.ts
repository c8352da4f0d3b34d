/** Callers of an installation other than its owner: keys, roles, service accounts, as an administrator makes them. */
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { Installation } from './installation.ts'
import { RawGateway, type Keys, type RawAnswer } from './raw-gateway.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const SYSTEM = '/api/v1/namespaces/carrel-system'

export type Right = 'invocations' | 'stop' | 'invocationsforuser'
export type Subject = { kind: 'User' | 'Group'; name: string } | { kind: 'ServiceAccount'; name: string; namespace: string }

/** An access key of a Kubernetes user, by a Secret of Carrel's own namespace: elsewhere it is none. */
export async function makeKey(
  installation: Installation,
  user: string,
  groups: string[] = [],
  namespace = 'carrel-system',
): Promise<Keys & { secretName: string }> {
  const accessKeyId = `CARREL${randomBytes(6).toString('hex').toUpperCase()}`
  const secretAccessKey = randomBytes(24).toString('base64url')
  const secretName = `access-key-${accessKeyId.toLowerCase()}`
  const stringData = { accessKeyId, secretAccessKey, user, groups: groups.join(',') }
  const data = Object.fromEntries(Object.entries(stringData).map(([name, value]) => [name, Buffer.from(value).toString('base64')]))
  const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secretName }, type: 'carrel.dev/access-key', data }
  await made(installation, `/api/v1/namespaces/${namespace}/secrets`, body)
  return { accessKeyId, secretAccessKey, region: installation.env['AWS_REGION']!, secretName }
}

export async function revokeKey(installation: Installation, { secretName }: { secretName: string }): Promise<void> {
  await installation.api.call('DELETE', `${SYSTEM}/secrets/${secretName}`)
}

/** A Role of these rights, and its RoleBinding; answers the path of the binding. */
export async function grant(
  installation: Installation,
  name: string,
  subject: Subject,
  rights: Right[],
  namespace = 'default',
): Promise<string> {
  const path = `${RBAC}/namespaces/${namespace}`
  const rules = [{ apiGroups: ['carrel.dev'], resources: rights.map((right) => `agentruntimes/${right}`), verbs: ['create'] }]
  await made(installation, `${path}/roles`, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name }, rules })
  const apiGroup = 'rbac.authorization.k8s.io'
  const subjects = [subject.kind === 'ServiceAccount' ? subject : { ...subject, apiGroup }]
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup, kind: 'Role', name },
    subjects,
  }
  await made(installation, `${path}/rolebindings`, binding)
  return `${path}/rolebindings/${name}`
}

/** A service account of the default namespace, and a token of it. */
export async function serviceAccountToken(installation: Installation, name: string, audience?: string): Promise<string> {
  const path = '/api/v1/namespaces/default/serviceaccounts'
  const made = await installation.api.call('POST', path, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } })
  if (made.status !== 201 && made.status !== 409) throw new Error(JSON.stringify(made.body))
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: audience ? { audiences: [audience] } : {} }
  const answer = await installation.api.call<{ status: { token: string } }>('POST', `${path}/${name}/token`, request)
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return answer.body.status.token
}

/** The gateway, called with another's key. */
export function callerWith(t: TestContext, installation: Installation, keys: Keys): RawGateway {
  const caller = new RawGateway(installation.env['CARREL_GATEWAY_URL']!, keys)
  t.after(() => caller.close())
  return caller
}

/** One call with a bearer token, unsigned. */
export function bearerCall(
  gateway: RawGateway,
  path: string,
  token: string | undefined,
  headers: Record<string, string>,
  body: string,
): Promise<RawAnswer> {
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return gateway.exchange('POST', path, { host: gateway.url.host, 'content-type': 'application/json', ...authorization, ...headers }, body)
}

async function made(installation: Installation, path: string, body: object): Promise<void> {
  const { status, body: answer } = await installation.api.call('POST', path, body)
  if (status !== 201) throw new Error(`${path}: ${JSON.stringify(answer)}`)
}
