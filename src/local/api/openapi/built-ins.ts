/**
 * OpenAPI schemas of the built-in kinds, for `kubectl explain` and for kubectl's question whether the server validates
 * fields. They come from the type maps of @kubernetes/client-node's models, file by file and on first use only: the
 * package as a whole costs half a second and 80 MB at start.
 */
import type { Resource } from '../../../kube/resource.ts'

export type Schema = Record<string, unknown>

interface Model {
  attributeTypeMap: { baseName: string; type: string; format: string }[]
}

/** Models whose names are not `V1` and the kind. */
const MODEL_NAMES: Record<string, string> = { '/Event': 'CoreV1Event', 'events.k8s.io/Event': 'EventsV1Event' }

/** Its JSON Schema is recursive through fields that no map of types describes; nobody explains it on a laptop. */
const OPAQUE = new Set(['V1JSONSchemaProps'])

export const refTo = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

/** `io.k8s.api.v1.PodSpec` for `V1PodSpec`: kubectl prints the part after the last dot. */
export function schemaName(model: string): string {
  return `io.k8s.api.v1.${model.replace(/^(Core|Events)?V1/, (_, family: string | undefined) => (family === 'Events' ? 'Events' : ''))}`
}

export function modelOf({ group, kind }: Resource): string {
  return MODEL_NAMES[`${group}/${kind}`] ?? `V1${kind}`
}

/** The schemas of these models and of all that they mention, by schema name. */
export async function schemasOf(models: readonly string[]): Promise<Record<string, Schema>> {
  const schemas: Record<string, Schema> = {}
  const waiting = [...models]
  for (let model = waiting.pop(); model !== undefined; model = waiting.pop()) {
    const name = schemaName(model)
    if (name in schemas) continue
    const attributes = OPAQUE.has(model) ? undefined : (await load(model)).attributeTypeMap
    if (attributes === undefined) {
      schemas[name] = ANYTHING
      continue
    }
    const mentions = (mentioned: string): Schema => {
      waiting.push(mentioned)
      return refTo(schemaName(mentioned))
    }
    const properties = attributes.map(({ baseName, type, format }) => [baseName, schemaOf(type, format, mentions)])
    schemas[name] = { type: 'object', properties: Object.fromEntries(properties) }
  }
  return schemas
}

async function load(model: string): Promise<Model> {
  const module = (await import(`@kubernetes/client-node/dist/gen/models/${model}.js`)) as Record<string, Model>
  const found = module[model]
  if (found === undefined) throw new Error(`OpenAPI: @kubernetes/client-node has no model ${model}`)
  return found
}

const ANYTHING: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

const PLAIN: Record<string, Schema> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  any: ANYTHING,
  object: ANYTHING,
  Date: { type: 'string', format: 'date-time' },
  V1MicroTime: { type: 'string', format: 'date-time' },
  IntOrString: { 'x-kubernetes-int-or-string': true, oneOf: [{ type: 'integer' }, { type: 'string' }] },
}

function schemaOf(type: string, format: string, mentions: (model: string) => Schema): Schema {
  if (PLAIN[type] !== undefined) return PLAIN[type]
  if (type === 'number') return format === 'double' ? { type: 'number', format } : { type: 'integer', ...(format ? { format } : {}) }
  const list = /^(?:Array|Set)<(.*)>$/.exec(type)
  if (list !== null) return { type: 'array', items: schemaOf(list[1]!, format, mentions) }
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)
  if (map !== null) return { type: 'object', additionalProperties: schemaOf(map[1]!, format, mentions) }
  return mentions(type)
}
