import { z } from 'zod'
import type { Rule } from './define-kind.ts'

/** What a CustomResourceDefinition may say of a value: the structural subset of OpenAPI 3.0. */
export interface StructuralSchema {
  type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  format?: string
  default?: unknown
  nullable?: boolean
  enum?: unknown[]
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  required?: string[]
  properties?: Record<string, StructuralSchema>
  additionalProperties?: StructuralSchema
  items?: StructuralSchema
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[]
}

type JsonSchema = Record<string, unknown>

/** All that may stand in a schema; anything else means that zod said something which the API server would refuse. */
const KEPT = new Set([
  'type', 'description', 'format', 'default', 'nullable', 'enum', 'pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems',
  'required', 'properties', 'additionalProperties', 'items', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys',
])
/** The API server compiles patterns with RE2, which has neither look-around nor back-references. */
const NOT_RE2 = /\(\?[=!<]|\\[1-9]/

/**
 * The structural schema of a zod schema. Throws, with the path, on whatever the API server would reject or silently read
 * otherwise: unions, references, look-ahead patterns, objects without a type, values without bounds for CEL.
 */
export function structuralSchema(schema: z.ZodType, path: string): StructuralSchema {
  return converted(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'throw' }) as JsonSchema, path)
}

function converted(given: JsonSchema, path: string): StructuralSchema {
  const schema: JsonSchema = { ...given }
  delete schema['~standard']
  for (const key of Object.keys(schema)) if (!KEPT.has(key)) throw new Error(`${path}: ${key} cannot be said in a structural schema`)
  if (schema['additionalProperties'] === false) delete schema['additionalProperties']
  if (typeof schema['type'] !== 'string') throw new Error(`${path}: a structural schema needs a type`)
  if (typeof schema['pattern'] === 'string' && NOT_RE2.test(schema['pattern'])) throw new Error(`${path}: the pattern ${schema['pattern']} is not RE2`)
  if (schema['type'] === 'integer') integerBounds(schema)
  if (isSchema(schema['items'])) schema['items'] = converted(schema['items'], `${path}[]`)
  if (isSchema(schema['properties'])) {
    schema['properties'] = Object.fromEntries(Object.entries(schema['properties']).map(([key, value]) => [key, converted(value as JsonSchema, `${path}.${key}`)]))
  }
  return schema as unknown as StructuralSchema
}

/** zod writes the safe integers as bounds; what is meant is a format. */
function integerBounds(schema: JsonSchema): void {
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum']
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum']
  schema['format'] = Number(schema['maximum'] ?? Number.MAX_SAFE_INTEGER) < 2 ** 31 ? 'int32' : 'int64'
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null
}

/** Puts each rule where its `self` is. Throws for a path that does not exist. */
export function withRules(root: StructuralSchema, rules: readonly Rule[]): StructuralSchema {
  const copy = structuredClone(root)
  for (const { path, cel, message, fieldPath } of rules) {
    const target = path.split('.').reduce<StructuralSchema | undefined>((schema, key) => schema?.properties?.[key], copy)
    if (target === undefined) throw new Error(`a rule names ${path}, which the schema does not have`)
    const validation = { rule: cel, message, ...(fieldPath ? { fieldPath } : {}) }
    target['x-kubernetes-validations'] = [...(target['x-kubernetes-validations'] ?? []), validation]
  }
  return copy
}
