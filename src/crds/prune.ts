import type { StructuralSchema } from './structural-schema.ts'

/**
 * The value without the fields that the schema does not have, and the sorted paths of those. A null where no null may be
 * counts as absent, as the API server has it. Metadata is not the schema's matter.
 */
export function pruneUnknown<T>(schema: StructuralSchema, value: T, path = ''): { value: T; unknown: string[] } {
  const unknown: string[] = []
  return { value: pruned(schema, value, path, unknown) as T, unknown: unknown.toSorted() }
}

function pruned(schema: StructuralSchema | undefined, value: unknown, path: string, unknown: string[]): unknown {
  if (Array.isArray(value)) return value.map((item, index) => pruned(schema?.items, item, `${path}[${index}]`, unknown))
  if (typeof value !== 'object' || value === null) return value
  const kept: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const known = propertyOf(schema, key)
    const at = path ? `${path}.${key}` : key
    if (known === undefined) unknown.push(at)
    else if (at === 'metadata') kept[key] = inner
    else if (inner !== null) kept[key] = pruned(known, inner, at, unknown)
  }
  return kept
}

/** The value with the schema's defaults where fields are absent, nested ones included. */
export function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  const { items, additionalProperties } = schema
  if (Array.isArray(value)) return items ? value.map((item) => applyDefaults(items, item)) : value
  if (typeof value !== 'object' || value === null) return value
  if (additionalProperties)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, applyDefaults(additionalProperties, inner)]))
  const filled: Record<string, unknown> = { ...value }
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    if (filled[key] === undefined && inner.default !== undefined) filled[key] = structuredClone(inner.default)
    if (filled[key] !== undefined) filled[key] = applyDefaults(inner, filled[key])
  }
  return filled
}

/** Own fields only: `constructor` is no field of anything. */
export function propertyOf(schema: StructuralSchema | undefined, key: string): StructuralSchema | undefined {
  if (schema?.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  return schema?.additionalProperties
}
