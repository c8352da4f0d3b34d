import type { KubeObject } from '../kube/objects.ts'
import type { Kind, Rule } from './define-kind.ts'
import { nameMessage, schemaOf } from './manifest.ts'
import { applyDefaults, pruneUnknown } from './prune.ts'
import { checkValue, type Cause } from './check-value.ts'
import type { StructuralSchema } from './structural-schema.ts'

export interface Admission {
  object: KubeObject
  /** What it was, on an update. */
  old?: KubeObject
  subresource?: 'status'
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
}

export type Admitted = { object: KubeObject; warnings: string[] } | { refused: { causes: Cause[] } }

const schemas = new WeakMap<Kind, StructuralSchema>()

/**
 * What an API server does with an object of one of Carrel's kinds before it stores it: unknown fields are refused (Strict)
 * or pruned, defaults filled in, and everything checked by the CRD's own schema and the twins of its CEL rules.
 */
export function admit(kind: Kind, { object, old, fieldValidation }: Admission): Admitted {
  const schema = schemas.get(kind) ?? schemaOf(kind)
  schemas.set(kind, schema)
  const { value, unknown } = pruneUnknown(schema, object)
  if (unknown.length > 0 && fieldValidation === 'Strict') {
    return { refused: { causes: unknown.map((field) => ({ reason: 'FieldValueInvalid', field, message: `unknown field "${field}"` })) } }
  }
  const filled = applyDefaults(schema, value) as KubeObject
  const causes = checkValue(schema, filled, '')
  if (causes.length === 0) causes.push(...nameCauses(kind, filled), ...kind.rules.flatMap((rule) => ruleCauses(rule, filled, old)))
  if (causes.length > 0) return { refused: { causes } }
  const warnings = fieldValidation === 'Ignore' ? [] : unknown.map((field) => `unknown field "${field}"`)
  return { object: filled, warnings }
}

function nameCauses({ nameRule }: Kind, { metadata: { name } }: KubeObject): Cause[] {
  if (!nameRule || (name.length <= nameRule.maxLength && new RegExp(nameRule.pattern).test(name))) return []
  return [{ reason: 'FieldValueInvalid', field: 'metadata.name', message: `Invalid value: ${JSON.stringify(name)}: ${nameMessage(nameRule)}` }]
}

/** A rule is skipped where its value is absent; one about oldSelf also where there was none. */
function ruleCauses(rule: Rule, object: KubeObject, old: KubeObject | undefined): Cause[] {
  const self = valueAt(object, rule.path)
  if (self === undefined) return []
  const before = old === undefined ? undefined : valueAt(old, rule.path)
  const holds = rule.holds?.(self as never) ?? true
  const holdsOnUpdate = before === undefined || (rule.holdsOnUpdate?.(self as never, before as never) ?? true)
  if (holds && holdsOnUpdate) return []
  const shown = typeof self === 'object' ? 'object' : JSON.stringify(self)
  return [{ reason: 'FieldValueInvalid', field: rule.path + (rule.fieldPath ?? ''), message: `Invalid value: ${shown}: ${rule.message}` }]
}

function valueAt(object: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object)
}
