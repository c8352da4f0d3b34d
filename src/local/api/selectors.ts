import type { KubeObject } from '../../kube/objects.ts'
import { badRequest } from './statuses.ts'

export type Matcher = (object: KubeObject) => boolean

const NAME = String.raw`[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?`
const EQUALITY = new RegExp(`^(${NAME})\\s*(==|=|!=)\\s*([-A-Za-z0-9_.]*)$`)
const MEMBERSHIP = new RegExp(`^(${NAME})\\s+(in|notin)\\s*\\(([^)]*)\\)$`)
const EXISTENCE = new RegExp(`^(!?)\\s*(${NAME})$`)

/** Label selectors, equality and set based. Throws 400 on what cannot be parsed. */
export function labelMatcher(selector: string | null): Matcher {
  if (!selector) return () => true
  const tests = splitRequirements(selector).map(labelRequirement)
  return (object) => tests.every((holds) => holds(object.metadata.labels ?? {}))
}

function labelRequirement(text: string): (labels: Record<string, string>) => boolean {
  const equality = EQUALITY.exec(text)
  if (equality) {
    const [, key, , operator, value] = equality
    return operator === '!=' ? (labels) => labels[key!] !== value : (labels) => labels[key!] === value
  }
  const membership = MEMBERSHIP.exec(text)
  if (membership) {
    const [, key, , operator, list] = membership
    const values = new Set(list!.split(',').map((value) => value.trim()))
    const isIn = (labels: Record<string, string>): boolean => labels[key!] !== undefined && values.has(labels[key!]!)
    return operator === 'in' ? isIn : (labels) => !isIn(labels)
  }
  const existence = EXISTENCE.exec(text)
  if (!existence) throw badRequest(`unable to parse requirement: ${text}`)
  const [, absent, key] = existence
  return absent ? (labels) => labels[key!] === undefined : (labels) => labels[key!] !== undefined
}

/** Commas separate, but not those inside parentheses. */
function splitRequirements(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** Field selectors: `=`, `==` and `!=` on the fields that the kind serves. Throws 400 on others. */
export function fieldMatcher(selector: string | null, served: ReadonlySet<string>): Matcher {
  if (!selector) return () => true
  const tests = selector.split(',').map((part) => {
    const match = /^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part)
    if (!match) throw badRequest(`invalid field selector: ${part}`)
    const [, field, operator, value] = match
    if (!served.has(field!)) throw badRequest(`field label not supported: ${field}`)
    return (object: KubeObject): boolean => (fieldOf(object, field!) === value) === (operator !== '!=')
  })
  return (object) => tests.every((holds) => holds(object))
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key]
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? `${value}` : ''
}
