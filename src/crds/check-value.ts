import type { StructuralSchema } from './structural-schema.ts'

/** One thing that is wrong, as metav1.StatusCause; worded as the real API server words it. */
export interface Cause {
  reason: string
  field: string
  message: string
}

/** Everything in which the value does not fit the schema. */
export function checkValue(schema: StructuralSchema, value: unknown, path: string): Cause[] {
  const actual = typeOf(value)
  if (actual !== schema.type && !(schema.type === 'number' && actual === 'integer')) {
    return [{ reason: 'FieldValueTypeInvalid', field: path, message: `Invalid value: ${shown(value)}: ${path} in body must be of type ${schema.type}: ${shown(actual)}` }]
  }
  switch (schema.type) {
    case 'object':
      return checkObject(schema, value as Record<string, unknown>, path)
    case 'array':
      return checkArray(schema, value as unknown[], path)
    case 'string':
      return checkString(schema, value as string, path)
    case 'integer':
    case 'number':
      return checkNumber(schema, value as number, path)
    case 'boolean':
      return []
  }
}

function checkObject(schema: StructuralSchema, value: Record<string, unknown>, path: string): Cause[] {
  const at = (key: string): string => (path ? `${path}.${key}` : key)
  const missing = (schema.required ?? []).filter((key) => value[key] === undefined)
  const causes: Cause[] = missing.map((key) => ({ reason: 'FieldValueRequired', field: at(key), message: 'Required value' }))
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    if (value[key] !== undefined && !(path === '' && key === 'metadata')) causes.push(...checkValue(inner, value[key], at(key)))
  }
  return causes
}

function checkArray(schema: StructuralSchema, value: unknown[], path: string): Cause[] {
  const { maxItems, minItems, items } = schema
  const causes: Cause[] = []
  if (maxItems !== undefined && value.length > maxItems) causes.push(tooMany(path, value.length, maxItems))
  if (minItems !== undefined && value.length < minItems) causes.push(invalid(path, value.length, `${path} in body should have at least ${minItems} items`))
  if (items) value.forEach((item, index) => causes.push(...checkValue(items, item, `${path}[${index}]`)))
  const keys = schema['x-kubernetes-list-map-keys']
  if (keys && causes.length === 0) causes.push(...duplicates(value as Record<string, unknown>[], keys, path))
  return causes
}

function duplicates(items: Record<string, unknown>[], keys: string[], path: string): Cause[] {
  const seen = new Set<string>()
  return items.flatMap((item, index) => {
    const identity = JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])))
    if (!seen.has(identity)) return (seen.add(identity), [])
    return [{ reason: 'FieldValueDuplicate', field: `${path}[${index}]`, message: `Duplicate value: ${identity}` }]
  })
}

function checkString(schema: StructuralSchema, value: string, path: string): Cause[] {
  const length = Array.from(value).length
  const { maxLength, minLength, pattern } = schema
  if (schema.enum && !schema.enum.includes(value)) return [unsupported(path, value, schema.enum)]
  if (maxLength !== undefined && length > maxLength) return [{ reason: 'FieldValueTooLong', field: path, message: `Too long: may not be more than ${maxLength} bytes` }]
  if (minLength !== undefined && length < minLength) return [invalid(path, value, `${path} in body should be at least ${minLength} chars long`)]
  if (pattern !== undefined && !new RegExp(pattern).test(value)) return [invalid(path, value, `${path} in body should match '${pattern}'`)]
  return []
}

function checkNumber(schema: StructuralSchema, value: number, path: string): Cause[] {
  const { minimum, maximum } = schema
  if (minimum !== undefined && value < minimum) return [invalid(path, value, `${path} in body should be greater than or equal to ${minimum}`)]
  if (maximum !== undefined && value > maximum) return [invalid(path, value, `${path} in body should be less than or equal to ${maximum}`)]
  return []
}

function invalid(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${shown(value)}: ${why}` }
}

function unsupported(field: string, value: string, supported: unknown[]): Cause {
  return { reason: 'FieldValueNotSupported', field, message: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}` }
}

function tooMany(field: string, count: number, maximum: number): Cause {
  return { reason: 'FieldValueTooMany', field, message: `Too many: ${count}: must have at most ${maximum} items` }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'array' : 'object') : JSON.stringify(value)
}
