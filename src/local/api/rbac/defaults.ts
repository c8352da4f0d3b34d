import type { KubeObject } from '../../../kube/objects.ts'
import { RBAC_GROUP, type Binding, type PolicyRule, type Role, type Subject } from './policy.ts'

/** Always with rules, if null: the real server's JSON says so. */
export function roleOf(role: Role): KubeObject {
  const { apiVersion, kind, metadata, rules, aggregationRule } = role
  const made = {
    apiVersion,
    kind,
    metadata,
    rules: rules?.length ? rules.map(ruleOf) : null,
    ...(aggregationRule ? { aggregationRule } : {}),
  }
  return made
}

/** An empty list is none. */
function ruleOf({ verbs, ...rest }: PolicyRule): PolicyRule {
  const said = Object.entries(rest).filter(([, list]) => (list as unknown[]).length > 0)
  return { verbs: verbs ?? null, ...Object.fromEntries(said) }
}

/** Of users and groups the API group is a matter of course. */
export function bindingOf({ apiVersion, kind, metadata, roleRef, subjects }: Binding): KubeObject {
  const { apiGroup = '', kind: role = '', name = '' } = (roleRef ?? {}) as Partial<Binding['roleRef']>
  const made: Binding = {
    apiVersion,
    kind,
    metadata,
    ...(subjects?.length ? { subjects: subjects.map(subjectOf) } : {}),
    roleRef: { apiGroup: apiGroup || RBAC_GROUP, kind: role, name },
  }
  return made
}

function subjectOf({ kind = '', apiGroup = '', name = '', namespace = '' }: Partial<Subject>): Subject {
  const group = apiGroup || (kind === 'User' || kind === 'Group' ? RBAC_GROUP : '')
  return { kind, ...(group ? { apiGroup: group } : {}), name, ...(namespace ? { namespace } : {}) }
}
