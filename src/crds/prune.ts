import type { StructuralSchema } from './structural-schema.ts'

/** The value without the fields that the schema does not have, and the paths of those. Metadata is not the schema's matter. */
export function pruneUnknown<T>(schema: StructuralSchema, value: T, path = ''): { value: T; unknown: string[] } {
  const unknown: string[] = []
  return { value: pruned(schema, value, path, unknown) as T, unknown }
}

function pruned(schema: StructuralSchema, value: unknown, path: string, unknown: string[]): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item, index) => pruned(schema.items!, item, `${path}[${index}]`, unknown)) : value
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return value
  const kept: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const known = schema.properties[key]
    const at = path ? `${path}.${key}` : key
    if (known === undefined) unknown.push(at)
    else kept[key] = pruned(known, inner, at, unknown)
  }
  return kept
}

/** The value with the schema's defaults where fields are absent, nested ones included. */
export function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item) => applyDefaults(schema.items!, item)) : value
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return value
  const filled: Record<string, unknown> = { ...value }
  for (const [key, inner] of Object.entries(schema.properties)) {
    if (filled[key] === undefined && inner.default !== undefined) filled[key] = structuredClone(inner.default)
    if (filled[key] !== undefined) filled[key] = applyDefaults(inner, filled[key])
  }
  return filled
}
