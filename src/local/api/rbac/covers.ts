import { coversPath } from './match.ts'
import type { PolicyRule } from './policy.ts'

/** The rights among `wanted` that none of `held` includes: each of one verb, one group, one resource and at most one name. */
export function uncovered(wanted: readonly PolicyRule[], held: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(singleRights).filter((right) => !held.some((rule) => covers(rule, right)))
}

function singleRights({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): PolicyRule[] {
  const names = resourceNames.length > 0 ? resourceNames.map((name) => ({ resourceNames: [name] })) : [{}]
  return [
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) => names.map((named) => ({ apiGroups: [group], resources: [resource], verbs: [verb], ...named }))),
      ),
    ),
    ...nonResourceURLs.flatMap((url) => verbs.map((verb) => ({ nonResourceURLs: [url], verbs: [verb] }))),
  ]
}

function covers(held: PolicyRule, right: PolicyRule): boolean {
  const includes = (all: readonly string[] = [], [one]: readonly string[] = []): boolean => all.includes('*') || all.includes(one!)
  if (!includes(held.verbs, right.verbs)) return false
  if (right.nonResourceURLs) return (held.nonResourceURLs ?? []).some((url) => coversPath(url, right.nonResourceURLs![0]!))
  const [, subresource] = right.resources![0]!.split('/', 2)
  const isOfAny = subresource !== undefined && held.resources?.includes(`*/${subresource}`) === true
  const coversResource = includes(held.resources, right.resources) || isOfAny
  return includes(held.apiGroups, right.apiGroups) && coversResource && coversNames(held, right)
}

function coversNames({ resourceNames: held = [] }: PolicyRule, { resourceNames: [name] = [] }: PolicyRule): boolean {
  return held.length === 0 || (name !== undefined && held.includes(name))
}

/** Rights of the same things as one, in words, in the order of the alphabet: Go's way to print them. */
export function described(rights: readonly PolicyRule[]): string[] {
  const byThing = new Map<string, PolicyRule>()
  for (const right of rights) {
    const { verbs, ...thing } = right
    const key = JSON.stringify(right.nonResourceURLs ? right : thing)
    const known = byThing.get(key)
    byThing.set(key, known ? { ...known, verbs: [...known.verbs, ...verbs] } : right)
  }
  return [...new Set(Array.from(byThing.values(), wordsFor))].toSorted()
}

function wordsFor({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string {
  const parts = { APIGroups: apiGroups, Resources: resources, NonResourceURLs: nonResourceURLs, ResourceNames: resourceNames, Verbs: verbs }
  const said = Object.entries(parts).flatMap(([name, values]) => (values?.length ? [`${name}:${quoted(values)}`] : []))
  return `{${said.join(', ')}}`
}

/** Go's `%q` of a list. */
export function quoted(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(' ')}]`
}
