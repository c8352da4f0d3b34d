import { isDeepStrictEqual } from 'node:util'
import { pathSegmentCauses, subdomainCauses } from '../metadata-rules.ts'
import { invalidValue, required, unsupported, type Cause } from '../statuses.ts'
import { RBAC_GROUP, type Binding, type PolicyRule, type Role, type Subject } from './policy.ts'

export function roleCauses({ kind, rules, aggregationRule }: Role): Cause[] {
  const all = rules ?? []
  const selectors = aggregationRule?.clusterRoleSelectors
  return [
    ...(aggregationRule && !selectors?.length
      ? [required('aggregationRule.clusterRoleSelectors', 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
      : []),
    ...all.flatMap((rule, index) => ruleCauses(rule, `rules[${index}]`, kind === 'Role')),
    ...all.flatMap(({ verbs }, index) => (verbs?.length ? [] : [required(`rules[${index}].verbs`)])),
  ]
}

function ruleCauses({ apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule, at: string, isNamespaced: boolean): Cause[] {
  const wrong = (message: string): Cause => invalidValue(`${at}.nonResourceURLs`, nonResourceURLs, message)
  if (nonResourceURLs?.length) {
    const isMixed = [apiGroups, resources, resourceNames].some((list) => list?.length)
    return [
      ...(isNamespaced ? [wrong('namespaced rules cannot apply to non-resource URLs')] : []),
      ...(isMixed ? [wrong('rules cannot apply to both regular resources and non-resource URLs')] : []),
    ]
  }
  return [
    ...(apiGroups?.length ? [] : [required(`${at}.apiGroups`, 'resource rules must supply at least one api group')]),
    ...(resources?.length ? [] : [required(`${at}.resources`, 'resource rules must supply at least one resource')]),
  ]
}

export function bindingCauses({ kind, roleRef, subjects = [] }: Binding, old: Binding | undefined): Cause[] {
  const isNamespaced = kind === 'RoleBinding'
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole']
  const { apiGroup, kind: role, name } = roleRef
  const isOther = old !== undefined && !isDeepStrictEqual(roleRef, old.roleRef)
  const nameless = name ? [] : [required('roleRef.name')]
  const ofSubjects = subjects.flatMap((subject, index) => (subject.name ? [] : [required(`subjects[${index}].name`)]))
  return [
    ...(apiGroup === RBAC_GROUP ? [] : [unsupported('roleRef.apiGroup', apiGroup, [RBAC_GROUP])]),
    ...(kinds.includes(role) ? [] : [unsupported('roleRef.kind', role, kinds)]),
    ...pathSegmentCauses('roleRef.name', name),
    ...subjects.flatMap((subject, index) => subjectCauses(subject, `subjects[${index}]`, isNamespaced)),
    ...(old ? nameless : ofSubjects),
    ...(isOther ? [invalidValue('roleRef', { APIGroup: apiGroup, Kind: role, Name: name }, 'field is immutable')] : []),
    ...(old ? ofSubjects : nameless),
  ]
}

function subjectCauses({ kind, name, apiGroup = '', namespace }: Subject, at: string, isNamespaced: boolean): Cause[] {
  const inGroup = (wanted: string): Cause[] => (apiGroup === wanted ? [] : [unsupported(`${at}.apiGroup`, apiGroup, [wanted])])
  if (kind === 'User' || kind === 'Group') return inGroup(RBAC_GROUP)
  if (kind !== 'ServiceAccount') return [unsupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group'])]
  return [
    ...(name ? subdomainCauses(`${at}.name`, name) : []),
    ...inGroup(''),
    ...(isNamespaced || namespace ? [] : [required(`${at}.namespace`)]),
  ]
}
