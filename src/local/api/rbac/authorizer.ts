import type { KubeObject } from '../../../kube/objects.ts'
import type { Identity } from '../call.ts'
import { BindingIndex, CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, subjectFor } from './binding-index.ts'
import { allowedByRule } from './match.ts'
import { RBAC_GROUP, type Access, type Binding, type Person, type PolicyRule, type Role, type Subject } from './policy.ts'

export interface Decision {
  allowed: boolean
  /** In the real server's words; '' where it says nothing. */
  reason: string
}

/** Where roles are: a read of the store. */
export interface Roles {
  get(slot: { collection: string; namespace: string; name: string }): KubeObject | undefined
}

interface Change {
  collection: string
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: KubeObject
  previous?: KubeObject | undefined
}

/**
 * Who may do what, as the real server decides it: members of system:masters everything, the parts of the installation what
 * is fixed for them, and everybody what roles and bindings say. It is told of each commit, and answers from memory.
 */
export class Authorizer {
  readonly #roles: Roles
  readonly #fixed: ReadonlyMap<string, Identity>
  readonly #bindings = new BindingIndex()

  /** `fixed`: callers whose rights no role gives, by user. */
  constructor(roles: Roles, fixed: Iterable<Identity>) {
    this.#roles = roles
    this.#fixed = new Map(Array.from(fixed, (identity) => [identity.user, identity]))
  }

  /** Takes in what was kept from the process before. */
  load(store: { list(collection: string): KubeObject[] }): void {
    for (const collection of [ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS]) {
      for (const object of store.list(collection)) this.noticed({ collection, type: 'ADDED', object })
    }
  }

  noticed({ collection, type, object, previous }: Change): void {
    if (collection !== ROLE_BINDINGS && collection !== CLUSTER_ROLE_BINDINGS) return
    this.#bindings.replace(type === 'DELETED' ? undefined : (object as Binding), previous as Binding | undefined)
  }

  decide(person: Person, access: Access): Decision {
    if (person.groups.includes('system:masters')) return { allowed: true, reason: '' }
    const fixed = this.#fixed.get(person.user)
    if (fixed && allowedTo(fixed, access)) return { allowed: true, reason: 'what this part of Carrel may do is fixed' }
    const missing = new Set<string>()
    for (const binding of this.#bindings.of(person, 'path' in access ? '' : access.namespace)) {
      const rules = this.#rulesOf(binding, missing)
      if (rules.some((rule) => allowedByRule(rule, access))) return { allowed: true, reason: reasonOf(binding, person) }
    }
    return { allowed: false, reason: complaintsOf(missing) }
  }

  /** Every rule that roles give the person: those of the whole cluster, and those of the namespace. */
  rulesFor(person: Person, namespace: string): { rules: PolicyRule[]; missing: string[] } {
    const missing = new Set<string>()
    const bindings = new Set(this.#bindings.of(person, namespace))
    return { rules: [...bindings].flatMap((binding) => this.#rulesOf(binding, missing)), missing: [...missing] }
  }

  /** The rules behind a reference; undefined where there is no such role. */
  rulesBehind({ roleRef, metadata }: Pick<Binding, 'roleRef' | 'metadata'>): PolicyRule[] | undefined {
    const isOfCluster = roleRef.kind === 'ClusterRole'
    const slot = {
      collection: `${RBAC_GROUP}/${isOfCluster ? 'clusterroles' : 'roles'}`,
      namespace: isOfCluster ? '' : (metadata.namespace ?? ''),
      name: roleRef.name,
    }
    const role = this.#roles.get(slot) as Role | undefined
    return role && (role.rules ?? [])
  }

  #rulesOf(binding: Binding, missing: Set<string>): PolicyRule[] {
    const rules = this.rulesBehind(binding)
    if (rules) return rules
    missing.add(`${binding.roleRef.kind.toLowerCase()}.${RBAC_GROUP} ${JSON.stringify(binding.roleRef.name)} not found`)
    return []
  }
}

/** By what is fixed for it alone. */
export function allowedTo(identity: Pick<Identity, 'allows' | 'allowsPath'>, access: Access): boolean {
  if ('path' in access) return identity.allowsPath?.(access.verb, access.path) === true
  const { verb, group, resource, subresource, namespace } = access
  return identity.allows(verb, group, resource, subresource, namespace || undefined)
}

function reasonOf(binding: Binding, person: Person): string {
  const { namespace, name } = binding.metadata
  const place = namespace ? `${name}/${namespace}` : name
  const { kind, name: role } = binding.roleRef
  const whom = wordsFor(subjectFor(binding, person)!, namespace ?? '')
  return `RBAC: allowed by ${namespace ? 'RoleBinding' : 'ClusterRoleBinding'} ${JSON.stringify(place)} of ${kind} ${JSON.stringify(role)} to ${whom}`
}

function wordsFor({ kind, name, namespace }: Subject, ofBinding: string): string {
  return `${kind} ${JSON.stringify(kind === 'ServiceAccount' ? `${name}/${namespace || ofBinding}` : name)}`
}

function complaintsOf(missing: ReadonlySet<string>): string {
  if (missing.size === 0) return ''
  const all = [...missing]
  return `rbac: RBAC: ${all.length === 1 ? all[0] : `[${all.join(', ')}]`}`
}
