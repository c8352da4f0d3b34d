import { isDeepStrictEqual } from 'node:util'
import { propertyOf } from './prune.ts'
import type { StructuralSchema } from './structural-schema.ts'

/** One thing that is wrong, as metav1.StatusCause, in the real API server's words. */
export interface Cause {
  reason:
    | 'FieldValueInvalid'
    | 'FieldValueTypeInvalid'
    | 'FieldValueRequired'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
  field: string
  message: string
}

/**
 * Everything in which the value does not fit the schema. What did not change since `old` is let be, as the API server
 * does: a schema that became stricter does not lock the objects that were there before.
 */
export function checkValue(schema: StructuralSchema, value: unknown, path: string, old?: unknown): Cause[] {
  const causes = [...typeCauses(schema, value, path), ...contentCauses(schema, value, path, old), ...enumCauses(schema, value, path)]
  return causes.length > 0 && old !== undefined && isDeepStrictEqual(value, old) ? [] : causes
}

/** A schema without a type is of an integer or a string. */
function typeCauses({ type, format }: StructuralSchema, value: unknown, path: string): Cause[] {
  const actual = typeOf(value)
  if (type === undefined && (actual === 'integer' || actual === 'string')) return []
  if (actual === type || (type === 'number' && actual === 'integer')) return []
  const byFormat = format !== undefined && !['string', 'array', 'null'].includes(actual)
  const [wanted, found] = byFormat ? [format, FORMAT_OF[actual] ?? ''] : [type ?? 'integer,string', actual]
  return [
    {
      reason: 'FieldValueTypeInvalid',
      field: path,
      message: `Invalid value: "${found}": ${path} in body must be of type ${wanted}: "${found}"`,
    },
  ]
}

/** What the API server calls the values that its formats are about. */
const FORMAT_OF: Record<string, string> = { integer: 'int64', number: 'float64' }

/** Checked by what the value is, not by what it should be. */
function contentCauses(schema: StructuralSchema, value: unknown, path: string, old: unknown): Cause[] {
  if (typeof value === 'string') return [...stringCauses(schema, value, path), ...dateTimeCauses(schema, value, path)]
  if (typeof value === 'number') return numberCauses(schema, value, path)
  if (Array.isArray(value)) return arrayCauses(schema, value, path, old)
  return isRecord(value) ? objectCauses(schema, value, path, old) : []
}

function enumCauses(schema: StructuralSchema, value: unknown, path: string): Cause[] {
  if (schema.enum === undefined || schema.enum.includes(value as string)) return []
  const supported = schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ')
  return [
    {
      reason: 'FieldValueNotSupported',
      field: path,
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`,
    },
  ]
}

function objectCauses(schema: StructuralSchema, value: Record<string, unknown>, path: string, old: unknown): Cause[] {
  const at = (key: string): string => (path ? `${path}.${key}` : key)
  const before = isRecord(old) ? old : {}
  const causes: Cause[] = []
  for (const [key, inner] of Object.entries(value)) {
    const known = propertyOf(schema, key)
    if (known) causes.push(...checkValue(known, inner, at(key), before[key]))
  }
  const missing = (schema.required ?? []).filter((key) => value[key] === undefined)
  causes.push(...missing.map((key): Cause => ({ reason: 'FieldValueRequired', field: at(key), message: 'Required value' })))
  const { maxProperties } = schema
  const count = Object.keys(value).length
  if (maxProperties !== undefined && count > maxProperties) causes.push(tooMany(path, count, maxProperties))
  return causes
}

function arrayCauses(schema: StructuralSchema, value: unknown[], path: string, old: unknown): Cause[] {
  const { maxItems, minItems, items } = schema
  const causes = items ? value.flatMap((item, index) => checkValue(items, item, `${path}[${index}]`, correlated(schema, item, old))) : []
  if (maxItems !== undefined && value.length > maxItems) causes.push(tooMany(path, value.length, maxItems))
  if (minItems !== undefined && value.length < minItems)
    causes.push(invalid(path, value.length, `${path} in body should have at least ${minItems} items`))
  return causes
}

/** The item of the old list that is the same one. Only items of a list with keys can be told. */
function correlated(schema: StructuralSchema, item: unknown, old: unknown): unknown {
  if (!schema['x-kubernetes-list-map-keys'] || !Array.isArray(old) || !isRecord(item)) return undefined
  const identity = identityOf(schema, item)
  return old.find((other) => isRecord(other) && isDeepStrictEqual(identityOf(schema, other), identity))
}

function identityOf(schema: StructuralSchema, item: Record<string, unknown>): Record<string, unknown> {
  const entries = (schema['x-kubernetes-list-map-keys'] ?? []).map((key) => [key, item[key]])
  return Object.fromEntries(entries) as Record<string, unknown>
}

/** Items of keyed lists that share a key: of each key, the second one. */
export function duplicateCauses(schema: StructuralSchema, value: unknown, path: string): Cause[] {
  if (Array.isArray(value)) {
    const inner = schema.items ? value.flatMap((item, index) => duplicateCauses(schema.items!, item, `${path}[${index}]`)) : []
    return [...(schema['x-kubernetes-list-map-keys'] ? secondOnes(schema, value, path) : []), ...inner]
  }
  if (!isRecord(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = propertyOf(schema, key)
    return known ? duplicateCauses(known, inner, path ? `${path}.${key}` : key) : []
  })
}

function secondOnes(schema: StructuralSchema, items: unknown[], path: string): Cause[] {
  const stray = items.findIndex((item) => !isRecord(item) && item !== null)
  if (stray >= 0) return [invalid(`${path}[${stray}]`, items[stray], 'must be an object for an array of list-type map')]
  const times = new Map<string, number>()
  return items.flatMap((item, index): Cause[] => {
    const identity = JSON.stringify(identityOf(schema, (item ?? {}) as Record<string, unknown>))
    times.set(identity, (times.get(identity) ?? 0) + 1)
    return times.get(identity) === 2
      ? [{ reason: 'FieldValueDuplicate', field: `${path}[${index}]`, message: `Duplicate value: ${identity}` }]
      : []
  })
}

/** The first that is wrong. */
function stringCauses({ minLength, maxLength, pattern }: StructuralSchema, value: string, path: string): Cause[] {
  const length = Array.from(value).length
  if (maxLength !== undefined && length > maxLength)
    return [{ reason: 'FieldValueTooLong', field: path, message: `Too long: may not be more than ${maxLength} bytes` }]
  if (minLength !== undefined && length < minLength)
    return [invalid(path, value, `${path} in body should be at least ${minLength} chars long`)]
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    return [invalid(path, value, `${path} in body should match '${pattern}'`)]
  return []
}

/** RFC 3339, as Go's strfmt takes it. */
const DATE_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/

function dateTimeCauses({ format }: StructuralSchema, value: string, path: string): Cause[] {
  if (format !== 'date-time' || DATE_TIME.test(value)) return []
  const shown = JSON.stringify(value)
  return [
    {
      reason: 'FieldValueTypeInvalid',
      field: path,
      message: `Invalid value: ${shown}: ${path} in body must be of type date-time: ${shown}`,
    },
  ]
}

const LARGEST = { int32: 2 ** 31 - 1, int64: 2 ** 63 } as Record<string, number>

function numberCauses({ type, format, minimum, maximum }: StructuralSchema, value: number, path: string): Cause[] {
  const causes: Cause[] = []
  const fits = type !== 'integer' || (typeOf(value) === 'integer' && Math.abs(value) <= (LARGEST[format ?? 'int64'] ?? Infinity))
  if (!fits) causes.push(invalid('<nil>', '', `Checked value must be of type integer with format ${format} in ${path}`))
  if (maximum !== undefined && value > maximum)
    causes.push(invalid(path, value, `${path} in body should be less than or equal to ${maximum}`))
  if (minimum !== undefined && value < minimum)
    causes.push(invalid(path, value, `${path} in body should be greater than or equal to ${minimum}`))
  return causes
}

function invalid(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` }
}

function tooMany(field: string, count: number, maximum: number): Cause {
  return { reason: 'FieldValueTooMany', field, message: `Too many: ${count}: must have at most ${maximum} items` }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What JSON does not tell apart, JavaScript does not either: 1.0 is an integer. Beyond 64 bits nothing is. */
function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) <= 2 ** 63 ? 'integer' : 'number'
  return typeof value
}
