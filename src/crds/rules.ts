/** A kind's rules: put into its schema as CEL, and enforced by their TypeScript twins where no CEL runs. */
import { isDeepStrictEqual } from 'node:util'
import type { Cause } from './check-value.ts'
import type { Rule } from './define-kind.ts'
import type { StructuralSchema } from './structural-schema.ts'

/** The schema with each rule where its `self` is. Throws for a path or fieldPath that the schema does not have. */
export function withRules(root: StructuralSchema, rules: readonly Rule[]): StructuralSchema {
  const schema = structuredClone(root)
  for (const { path, cel, message, fieldPath } of rules) {
    const self = schemaAt(schema, path)
    if (self === undefined) throw new Error(`a rule names ${path}, which the schema does not have`)
    if (fieldPath !== undefined && schemaAt(self, fieldPath.slice(1)) === undefined) {
      throw new Error(`the rule at ${path || 'the root'} names ${fieldPath}, which its schema does not have`)
    }
    const validation = { rule: cel, message, ...(fieldPath ? { fieldPath } : {}) }
    self['x-kubernetes-validations'] = [...(self['x-kubernetes-validations'] ?? []), validation]
  }
  return schema
}

/** The rules that the object breaks, in the API server's words. */
export function ruleCauses(rules: readonly Rule[], object: unknown, old: unknown): Cause[] {
  return rules.filter((rule) => !isKept(rule, object, old)).map((rule) => broken(rule, valueAt(object, rule.path)))
}

function broken({ path, fieldPath, message }: Rule, self: unknown): Cause {
  const field = `${path}${fieldPath ?? ''}`.replace(/^\./, '') || '<nil>'
  const shown = fieldPath === undefined && typeof self !== 'object' ? `${JSON.stringify(self)}: ` : ''
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${shown}${message}` }
}

/**
 * A rule is skipped where its value is absent, and one about oldSelf also where there was none. One that is not about
 * oldSelf lets be what did not change, as every check of the API server does.
 */
function isKept({ path, holds, holdsOnUpdate }: Rule, object: unknown, old: unknown): boolean {
  const self = valueAt(object, path)
  const before = valueAt(old, path)
  if (self === undefined || (holdsOnUpdate && before === undefined)) return true
  try {
    if (holdsOnUpdate) return holdsOnUpdate(self as never, before as never)
    return holds!(self as never) || isDeepStrictEqual(self, before)
  } catch {
    // A field that the rule reads is missing, which an unchanged part of an older object may lack; so it is with CEL.
    return false
  }
}

function keysOf(path: string): string[] {
  return path === '' ? [] : path.split('.')
}

function schemaAt(root: StructuralSchema, path: string): StructuralSchema | undefined {
  return keysOf(path).reduce<StructuralSchema | undefined>((schema, key) => schema?.properties?.[key], root)
}

function valueAt(root: unknown, path: string): unknown {
  return keysOf(path).reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], root)
}
