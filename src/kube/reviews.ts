import { ApiError } from './errors.ts'
import type { Transport } from './transport.ts'

/** Who the API server says that a caller is. */
export interface ClusterUser {
  name: string
  uid?: string
  groups: readonly string[]
}

/** One question to the authorizer. `namespace` '' asks for all namespaces, `name` absent for every object. */
export type AskedAccess =
  | { group: string; resource: string; subresource?: string; verb: string; namespace: string; name?: string }
  | { path: string; verb: string }

/** Every right of the cluster's authorizers (SubjectAccessReview). Throws ApiError or TransportError when there is no answer. */
export async function reviewAccess(transport: Transport, user: ClusterUser, asked: AskedAccess): Promise<boolean> {
  const attributes = 'path' in asked ? { nonResourceAttributes: asked } : { resourceAttributes: asked }
  const { status } = await review<{ allowed: boolean; denied?: boolean }>(transport, 'authorization.k8s.io', 'SubjectAccessReview', {
    user: user.name,
    groups: user.groups,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    ...attributes,
  })
  return status.allowed && status.denied !== true
}

/** Whose bearer token it is, if it is good for one of `audiences` (TokenReview). Throws as `reviewAccess` does. */
export async function reviewToken(transport: Transport, token: string, audiences: readonly string[]): Promise<ClusterUser | undefined> {
  const { status } = await review<TokenStatus>(transport, 'authentication.k8s.io', 'TokenReview', { token, audiences })
  if (!status.authenticated || !status.user?.username) return undefined
  // A server that knows no audiences answers none: then nobody has checked them (KEP-1205).
  if (!status.audiences?.some((audience) => audiences.includes(audience))) return undefined
  const { username, uid, groups = [] } = status.user
  return { name: username, groups, ...(uid ? { uid } : {}) }
}

interface TokenStatus {
  authenticated?: boolean
  user?: { username?: string; uid?: string; groups?: string[] }
  audiences?: string[]
}

async function review<Status>(transport: Transport, group: string, kind: string, spec: object): Promise<{ status: Status }> {
  const path = `/apis/${group}/v1/${kind.toLowerCase()}s`
  const response = await transport.request({ method: 'POST', path, body: { apiVersion: `${group}/v1`, kind, spec } })
  if (response.status >= 300) throw ApiError.from(response, `create a ${kind}`)
  return response.body as { status: Status }
}

/**
 * Issuer of the cluster's own service-account tokens, from its discovery document; undefined when it has none or hides it.
 */
export async function tokenIssuer(transport: Transport): Promise<string | undefined> {
  const response = await transport.request({ method: 'GET', path: '/.well-known/openid-configuration' })
  if (response.status >= 300) return undefined
  const body = typeof response.body === 'string' ? (JSON.parse(response.body) as object) : response.body
  const { issuer } = body as { issuer?: unknown }
  return typeof issuer === 'string' ? issuer : undefined
}
