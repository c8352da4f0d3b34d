/**
 * zod → the structural schema of a CustomResourceDefinition. What the API server would refuse, drop or read otherwise than
 * zod does throws here, when the schema is built, with the path and what to write instead. The API server itself stays the
 * judge of the cost of CEL rules; bounds on every string, list and map keep that finite.
 */
import { z } from 'zod'
import { checkValue } from './check-value.ts'
import { pruneUnknown } from './prune.ts'

/** What a CustomResourceDefinition may say of a value: the part of the structural subset of OpenAPI 3.0 that Carrel uses. */
export interface StructuralSchema {
  description?: string
  /** Absent of what is an integer or a string alone. */
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  format?: string
  default?: unknown
  enum?: string[]
  pattern?: string
  /** Code points. */
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  maxProperties?: number
  required?: string[]
  properties?: Record<string, StructuralSchema>
  additionalProperties?: StructuralSchema
  items?: StructuralSchema
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-int-or-string'?: true
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[]
}

type JsonSchema = Record<string, unknown>

/** All that may stand in a schema, in the order in which it is written down. */
const KEYWORDS = [
  'description',
  'type',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-int-or-string',
] as const

/** zod types whose meaning survives; all others lose it silently, or have none in a CRD. */
const TYPES = new Set(['string', 'number', 'boolean', 'enum', 'object', 'array', 'record', 'optional', 'default', 'union'])
/** Formats that the API server knows and reads as zod does (`duration`, for one, it reads as Go's). */
const FORMATS = new Set(['date-time', 'int32', 'int64'])
/** The API server compiles patterns with RE2, which has neither look-around nor back-references. */
const NOT_RE2 = /\(\?(?:[=!]|<[=!])|\\[1-9]/
const INT32_MAX = 2 ** 31 - 1

/** Throws for whatever a structural schema cannot say; `path` is where the schema will stand. */
export function structuralSchema(schema: z.ZodType, path: string): StructuralSchema {
  const override = ({ zodSchema, path: inner }: { zodSchema: unknown; path: (string | number)[] }): void =>
    refuseLossy(zodSchema, [path, ...inner.filter((key) => key !== 'properties')].join('.'))
  return converted(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any', override }) as JsonSchema, path)
}

/** JSON Schema would drop these without a word. */
function refuseLossy(schema: unknown, path: string): void {
  const { type, checks = [], keyType, options } = (schema as LossyView)._zod.def
  if (!TYPES.has(type)) fail(path, `z.${type} has no structural schema: write one object of optional fields and CEL rules`)
  if (options && type === 'union' && options.map(({ _zod }) => _zod.def.type).join() !== 'number,string')
    fail(path, 'z.union has no structural schema, but of an integer and a string: write one object of optional fields and CEL rules')
  if (checks.some(({ _zod }) => _zod.def.check === 'custom')) fail(path, 'refine() would be lost: write a CEL rule with its twin')
  if (checks.some(({ _zod }) => _zod.def.check === 'overwrite'))
    fail(path, 'the API server changes no values: leave trim() and the like out')
  if (keyType && keyType._zod.def.type !== 'string') fail(path, 'a record by enum requires every key: write an object')
}

interface LossyView {
  _zod: { def: { type: string; checks?: { _zod: { def: { check: string } } }[]; keyType?: LossyView; options?: LossyView[] } }
}

function converted(said: JsonSchema, path: string): StructuralSchema {
  const { '~standard': _standard, ...given } = said
  if (given['additionalProperties'] === false) delete given['additionalProperties']
  if (given['type'] === 'integer') boundInteger(given)
  if (given['x-kubernetes-int-or-string']) foldUnion(given, path)
  refuseUnknownKeywords(given, path)
  const { properties, items, additionalProperties } = given as {
    properties?: Record<string, JsonSchema>
    items?: JsonSchema
    additionalProperties?: JsonSchema
  }
  if (properties)
    given['properties'] = Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, converted(value, `${path}.${key}`)]))
  if (items) given['items'] = converted(items, `${path}[]`)
  if (additionalProperties) given['additionalProperties'] = converted(additionalProperties, `${path}.*`)
  const schema = Object.fromEntries(
    KEYWORDS.filter((key) => given[key] !== undefined).map((key) => [key, given[key]]),
  ) as unknown as StructuralSchema
  refuseUnbounded(schema, path)
  refuseListKeys(schema, path)
  refuseDefault(schema, path)
  return schema
}

/** zod writes the safe integers as bounds; what is meant is a format. */
function boundInteger(schema: JsonSchema): void {
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum']
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum']
  schema['format'] = Number(schema['maximum'] ?? Infinity) <= INT32_MAX ? 'int32' : 'int64'
}

/** The API server says `integer or string` by one word; what holds for either stands beside it. */
function foldUnion(schema: JsonSchema, path: string): void {
  for (const option of schema['anyOf'] as JsonSchema[]) {
    if (option['type'] === 'integer') boundInteger(option)
    const lost = Object.keys(option).find((key) => key !== 'type' && key !== 'format')
    if (lost !== undefined) fail(path, `${lost} of one half of the union would be lost: write it in meta()`)
  }
  delete schema['anyOf']
}

function refuseUnknownKeywords(schema: JsonSchema, path: string): void {
  const unknown = Object.keys(schema).find((key) => !(KEYWORDS as readonly string[]).includes(key))
  if (unknown === 'definitions') fail(path, 'references cannot be said: leave meta({ id }) and recursion out')
  if (unknown !== undefined) fail(path, `${unknown} cannot be said in a structural schema`)
  const { type, format, pattern } = schema as { type?: string; format?: string; pattern?: string }
  if (typeof type !== 'string' && !schema['x-kubernetes-int-or-string']) fail(path, 'a structural schema needs a type')
  if (format !== undefined && !FORMATS.has(format))
    fail(path, `the API server does not know or reads otherwise the format ${format}: write a pattern`)
  if (pattern !== undefined && NOT_RE2.test(pattern))
    fail(path, `the pattern ${pattern} is not RE2: do without look-around and back-references`)
  if (schema['properties'] && schema['additionalProperties']) fail(path, 'properties and additionalProperties exclude each other')
}

/** Without bounds the API server takes the worst case, and refuses the CRD for what its rules could cost. */
function refuseUnbounded({ type, properties, maxLength, maxItems, maxProperties, enum: values }: StructuralSchema, path: string): void {
  if (type === 'string' && maxLength === undefined && values === undefined) fail(path, 'a string needs max()')
  if (type === 'array' && maxItems === undefined) fail(path, 'an array needs max()')
  if (type === 'object' && properties === undefined && maxProperties === undefined) fail(path, 'a record needs meta({ maxProperties })')
}

/** An item is found by its keys, so each must be there. */
function refuseListKeys(schema: StructuralSchema, path: string): void {
  for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
    if (!schema.items?.required?.includes(key)) fail(path, `the list's key ${key} must be a required field of its items`)
  }
}

/** The API server refuses a CRD whose defaults do not fit its own schema. */
function refuseDefault(schema: StructuralSchema, path: string): void {
  if (schema.default === undefined) return
  const { value, unknown } = pruneUnknown(schema, schema.default, path)
  const problem = unknown[0] ?? checkValue(schema, value, path)[0]?.message
  if (problem !== undefined) fail(path, `its default does not fit: ${problem}`)
}

function fail(path: string, why: string): never {
  throw new Error(`${path}: ${why}`)
}
