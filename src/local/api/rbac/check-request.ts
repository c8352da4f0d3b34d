import { OPERATOR_ONLY, IDENTITIES } from '../identities.ts'
import type { ApiCall } from '../call.ts'
import type { RequestInfo } from '../request-info.ts'
import type { ServedKind } from '../served-kinds.ts'
import { Refusal, forbidden } from '../statuses.ts'
import { allowedTo, type Authorizer } from './authorizer.ts'
import type { ResourceAccess } from './policy.ts'

/** Throws 403 unless the caller may do this: by what is fixed for it, or by what roles give it. */
export function checkRequest(authorizer: Authorizer, call: ApiCall, kind: ServedKind, { verb, object }: RequestInfo): void {
  const { namespace, subresource } = object!
  const name = object!.name ?? nameSelected(verb, call.query)
  const access: ResourceAccess = {
    verb,
    group: kind.group,
    resource: kind.plural,
    namespace: namespace ?? '',
    ...(subresource ? { subresource } : {}),
    ...(name ? { name } : {}),
  }
  if (allowedTo(call.identity, { ...access, namespace: kind.namespaced ? access.namespace : '' })) return
  const { user } = call.identity
  const { allowed, reason } = authorizer.decide(call.identity, access)
  if (!allowed) throw forbidden(user, verb, { ...kind, ...(subresource ? { subresource } : {}) }, name, namespace, reason)
  const isOperators = OPERATOR_ONLY.has(`${kind.group}/${kind.plural}/${subresource}`) && verb !== 'get'
  if (isOperators && user !== IDENTITIES.operator.user) throw notItsWord(kind, name ?? '')
}

/** A list or watch of one object by its name is allowed where that object is. */
function nameSelected(verb: string, query: URLSearchParams): string | undefined {
  if (!['list', 'watch', 'deletecollection'].includes(verb)) return undefined
  return /(?:^|,)\s*metadata\.name\s*==?\s*([^,\s]+)\s*(?:,|$)/.exec(query.get('fieldSelector') ?? '')?.[1]
}

/** Whatever a role says: on a cluster a ValidatingAdmissionPolicy refuses it as well (security rule 3). */
function notItsWord({ group, plural }: ServedKind, name: string): Refusal {
  const message = `${plural}.${group} ${JSON.stringify(name)} is forbidden: only the operator writes this status`
  return new Refusal(403, 'Forbidden', message, { name, group, kind: plural })
}
