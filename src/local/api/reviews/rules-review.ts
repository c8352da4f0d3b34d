import type { Authorizer } from '../rbac/authorizer.ts'
import type { Person, PolicyRule } from '../rbac/policy.ts'

/** All that roles let a person do in a namespace, for `kubectl auth can-i --list`. What is fixed for a part is not in it. */
export function rulesStatus(authorizer: Authorizer, person: Person, namespace: string): object {
  const { rules, missing } = authorizer.rulesFor(person, namespace)
  const ofPaths = ({ nonResourceURLs }: PolicyRule): boolean => (nonResourceURLs?.length ?? 0) > 0
  const resourceRules = rules.filter((rule) => !ofPaths(rule))
  const nonResourceRules = rules.filter(ofPaths)
  return {
    resourceRules,
    nonResourceRules,
    incomplete: false,
    ...(missing.length > 0 ? { evaluationError: missing.join(', ') } : {}),
  }
}
