import type { Identity } from '../call.ts'
import { badRequest, forbidden } from '../statuses.ts'
import { allowedTo, type Authorizer } from './authorizer.ts'
import type { ResourceAccess } from './policy.ts'

/** As whom a caller wants to be taken: what the Impersonate headers say. */
export interface Asked {
  user?: string
  uid?: string
  groups: string[]
  /** Names of Impersonate headers that are not served. */
  others: string[]
}

/** The identity to act as: nothing is left of the caller's own rights. Throws 403 where the caller may not, 400 for what is not served. */
export function impersonated(authorizer: Authorizer, caller: Identity, { user, uid, groups, others }: Asked): Identity {
  if (others.length > 0) throw badRequest(`this server does not serve the header ${others[0]}: leave it out`)
  if (!user) throw badRequest('an impersonation of groups or of a uid needs a user name too: send Impersonate-User')
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user)
  const [, namespace = '', name = user] = account ?? []
  check(authorizer, caller, { resource: account ? 'serviceaccounts' : 'users', namespace, name })
  for (const group of groups) check(authorizer, caller, { resource: 'groups', namespace: '', name: group })
  if (uid) check(authorizer, caller, { group: 'authentication.k8s.io', resource: 'uids', namespace: '', name: uid })
  const own = account && groups.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : groups
  const all = user === 'system:anonymous' ? [...own, 'system:unauthenticated'] : [...own, 'system:authenticated']
  return { user, ...(uid ? { uid } : {}), groups: [...new Set(all)], allows: () => false }
}

function check(
  authorizer: Authorizer,
  caller: Identity,
  what: Pick<ResourceAccess, 'resource' | 'namespace' | 'name'> & { group?: string },
): void {
  const access: ResourceAccess = { verb: 'impersonate', group: '', ...what }
  if (allowedTo(caller, access)) return
  const { allowed, reason } = authorizer.decide(caller, access)
  if (!allowed)
    throw forbidden(caller.user, access.verb, { group: access.group, plural: access.resource }, access.name, access.namespace, reason)
}
