import type { KubeObject } from '../../kube/objects.ts'
import { badRequest } from './statuses.ts'

export type Matcher = (object: KubeObject) => boolean

const OF_EVERY_KIND = ['metadata.name', 'metadata.namespace']

/**
 * Field selectors: `=`, `==` and `!=` on the fields that the kind serves beside name and namespace. Throws 400 on others;
 * the words depend on whether the kind has fields of its own to offer, undefined when it never thought of any.
 */
export function fieldMatcher(selector: string | null, ownFields: readonly string[] | undefined): Matcher {
  if (!selector) return () => true
  const served = new Set([...OF_EVERY_KIND, ...(ownFields ?? [])])
  const tests = selector.split(',').map((part) => {
    const match = /^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part)
    if (!match) throw badRequest(`invalid selector: '${selector}'; can't understand '${part}'`)
    const [, field, operator, value] = match
    if (!served.has(field!)) {
      const only = OF_EVERY_KIND.map((name) => JSON.stringify(name)).join(', ')
      throw badRequest(ownFields ? `field label not supported: ${field}` : `"${field}" is not a known field selector: only ${only}`)
    }
    return (object: KubeObject): boolean => (fieldOf(object, field!) === value) === (operator !== '!=')
  })
  return (object) => tests.every((holds) => holds(object))
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key]
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? `${value}` : ''
}
