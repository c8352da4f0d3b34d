import type { Access, PathAccess, PolicyRule, ResourceAccess } from './policy.ts'

const has = (all: readonly string[] | undefined, wanted: string): boolean => all?.includes(wanted) === true
const hasOrAny = (all: readonly string[] | undefined, wanted: string): boolean => has(all, '*') || has(all, wanted)

/** Whether this one rule allows it: RBAC has no rule that forbids. */
export function allowedByRule(rule: PolicyRule, access: Access): boolean {
  return hasOrAny(rule.verbs, access.verb) && ('path' in access ? matchesPath(rule, access) : matchesResource(rule, access))
}

function matchesPath({ nonResourceURLs = [] }: PolicyRule, { path }: PathAccess): boolean {
  return nonResourceURLs.some((url) => coversPath(url, path))
}

/** `*` at the end stands for whatever follows, and only there. */
export function coversPath(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, '')))
}

function matchesResource({ apiGroups, resources = [], resourceNames = [] }: PolicyRule, asked: ResourceAccess): boolean {
  const { group, resource, subresource, name = '' } = asked
  const whole = subresource ? `${resource}/${subresource}` : resource
  return (
    hasOrAny(apiGroups, group) &&
    (hasOrAny(resources, whole) || (Boolean(subresource) && has(resources, `*/${subresource}`))) &&
    (resourceNames.length === 0 || resourceNames.includes(name))
  )
}
