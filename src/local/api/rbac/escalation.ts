import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../../../kube/objects.ts'
import type { Identity } from '../call.ts'
import type { ServedKind } from '../served-kinds.ts'
import { Refusal, notFound } from '../statuses.ts'
import { allowedTo, type Authorizer } from './authorizer.ts'
import { described, quoted, uncovered } from './covers.ts'
import { RBAC_GROUP, type Binding, type PolicyRule, type ResourceAccess, type Role } from './policy.ts'

const EVERYTHING: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

export interface Grant {
  kind: ServedKind
  object: KubeObject
  /** Absent on create. */
  old?: KubeObject
  identity: Identity
  /** As the URL has them: '' where it says none. */
  namespace: string
  name: string
}

/**
 * Nobody gives away what it does not have: a role may hold only rights that its writer holds, and be bound only by one
 * that holds them, unless the right `escalate` or `bind` lets it. Throws 403, or 404 for a binding to no role.
 */
export function refuseEscalation(authorizer: Authorizer, grant: Grant): void {
  const { kind, object, old, identity, namespace, name } = grant
  if (kind.group !== RBAC_GROUP || changesNothing(object, old) || identity.groups.includes('system:masters')) return
  const isBinding = kind.kind.endsWith('Binding')
  const wished = isBinding
    ? bindOf(object as Binding, namespace)
    : { verb: 'escalate', group: RBAC_GROUP, resource: kind.plural, namespace, name }
  if (mayDo(authorizer, identity, wished)) return
  const { rules: held, missing } = authorizer.rulesFor(identity, namespace)
  if (changesAggregation(object, old) && uncovered(EVERYTHING, held).length > 0) {
    throw forbiddenGrant(kind, object, 'must have cluster-admin privileges to use the aggregationRule')
  }
  const wanted = isBinding ? rulesBehind(authorizer, kind, object as Binding, namespace) : ((object as Role).rules ?? [])
  const lacking = uncovered(wanted, held)
  if (lacking.length === 0) return
  const heading = `user ${JSON.stringify(identity.user)} (groups=${quoted(identity.groups)}) is attempting to grant RBAC permissions not currently held:`
  const errors = missing.length > 0 ? `; resolution errors: [${missing.join(', ')}]` : ''
  throw forbiddenGrant(kind, object, `${[heading, ...described(lacking)].join('\n')}${errors}`)
}

function forbiddenGrant({ group, plural }: ServedKind, { metadata: { name } }: KubeObject, why: string): Refusal {
  return new Refusal(403, 'Forbidden', `${plural}.${group} ${JSON.stringify(name)} is forbidden: ${why}`, { name, group, kind: plural })
}

/** By what is fixed for the caller, or by what roles say. */
function mayDo(authorizer: Authorizer, identity: Identity, access: ResourceAccess): boolean {
  return allowedTo(identity, access) || authorizer.decide(identity, access).allowed
}

function bindOf({ roleRef }: Binding, namespace: string): ResourceAccess {
  const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles'
  return { verb: 'bind', group: roleRef.apiGroup, resource, namespace, name: roleRef.name }
}

/** A role that is not there is missed in the name of the binding, as the real server says it. */
function rulesBehind(authorizer: Authorizer, kind: ServedKind, { roleRef }: Binding, namespace: string): PolicyRule[] {
  const rules = authorizer.rulesBehind({ roleRef, metadata: { name: '', namespace } })
  if (rules) return rules
  throw notFound(kind, roleRef.name)
}

/** Who says of which other roles one is made could let anything into it. */
function changesAggregation(object: Role, old: Role | undefined): boolean {
  return !isDeepStrictEqual(object.aggregationRule, old?.aggregationRule)
}

/** But for owners and finalizers, which the collector takes away. */
function changesNothing(object: KubeObject, old: KubeObject | undefined): boolean {
  if (old === undefined) return false
  const content = ({ metadata, ...rest }: KubeObject): unknown => {
    const { finalizers: _finalizers, ownerReferences: _owners, ...kept } = metadata
    return { ...rest, metadata: kept }
  }
  return isDeepStrictEqual(content(object), content(old))
}
