/**
 * `/openapi/v3` (an index by group and version, then one document each) and `/openapi/v2` (all in one), for kubectl:
 * `explain` reads the fields, and `apply` and `create` look whether a kind's PATCH knows `fieldValidation`, in which case
 * kubectl leaves validation to the server. A PATCH here does not claim strategic merge patches: kubectl then computes
 * those of the built-in kinds from its compiled types, which know every list's merge key.
 */
import { createHash } from 'node:crypto'
import { schemaOf } from '../../../crds/manifest.ts'
import { pathOf } from '../../../kube/resource.ts'
import { faceOf, groupVersions } from '../faces.ts'
import type { ServedKind } from '../served-kinds.ts'
import { modelOf, refTo, schemaName, schemasOf } from './built-ins.ts'
import type { Schema } from './built-ins.ts'
import { pathsOf } from './paths.ts'
import type { Paths } from './paths.ts'

interface Document {
  openapi: '3.0.0'
  info: { title: string; version: string }
  paths: Paths
  components: { schemas: Record<string, Schema> }
}

export class OpenApi {
  readonly #kinds: readonly ServedKind[]
  readonly #documents = new Map<string, Promise<Document>>()

  constructor(kinds: readonly ServedKind[]) {
    this.#kinds = kinds
  }

  /** The JSON for a path under /openapi; undefined where there is nothing. */
  async answer(path: string): Promise<object | undefined> {
    if (path === '/openapi/v3') return this.#index()
    if (path === '/openapi/v2') return this.#everything()
    const key = /^\/openapi\/v3\/(.+)$/.exec(path)?.[1]
    return key === undefined ? undefined : this.#document(key)
  }

  /** Clients keep documents by the hash in their address. */
  async #index(): Promise<object> {
    const entries = await Promise.all(
      groupVersions(this.#kinds).map(async ({ group, version }) => {
        const key = keyOf(group, version)
        const hash = createHash('sha256')
          .update(JSON.stringify(await this.#document(key)))
          .digest('hex')
          .toUpperCase()
        return [key, { serverRelativeURL: `/openapi/v3/${key}?hash=${hash}` }] as const
      }),
    )
    return { paths: Object.fromEntries(entries) }
  }

  #document(key: string): Promise<Document> | undefined {
    const found = groupVersions(this.#kinds).find(({ group, version }) => keyOf(group, version) === key)
    if (found === undefined) return undefined
    const known = this.#documents.get(key)
    if (known !== undefined) return known
    const made = this.#describe(found.kinds)
    this.#documents.set(key, made)
    return made
  }

  async #describe(kinds: readonly ServedKind[]): Promise<Document> {
    const schemas: Record<string, Schema> = {}
    const models = new Set(['V1ObjectMeta', 'V1Status', 'V1DeleteOptions'])
    const names = new Map<ServedKind, string>()
    for (const kind of kinds) {
      const own = kind.definition && { ...schemaOf(kind.definition) }
      const name = own === undefined ? schemaName(modelOf(kind)) : reversed(kind)
      names.set(kind, name)
      if (own === undefined) models.add(modelOf(kind))
      else schemas[name] = withMetadata(own)
    }
    Object.assign(schemas, await schemasOf([...models]))
    for (const kind of kinds) {
      const { group, version } = kind
      const name = names.get(kind)!
      schemas[name] = { ...schemas[name], 'x-kubernetes-group-version-kind': [{ group, version, kind: kind.kind }] }
      schemas[`${name}List`] = listSchema(kind, name)
    }
    const paths = Object.assign({}, ...kinds.map((kind) => pathsOf(kind, faceOf(kind), names.get(kind)!))) as Paths
    return { openapi: '3.0.0', info: { title: 'Carrel embedded Kubernetes API', version: 'v1' }, paths, components: { schemas } }
  }

  /** OpenAPI 2.0 names the same things in other places. Definitions only: it is read for those, by older clients. */
  async #everything(): Promise<object> {
    const keys = groupVersions(this.#kinds).map(({ group, version }) => keyOf(group, version))
    const documents = await Promise.all(keys.map((key) => this.#document(key)!))
    const definitions = Object.assign({}, ...documents.map((document) => document.components.schemas)) as object
    const text = JSON.stringify({ swagger: '2.0', info: documents[0]?.info, paths: {}, definitions })
    return JSON.parse(text.replaceAll('#/components/schemas/', '#/definitions/')) as object
  }
}

function keyOf(group: string, version: string): string {
  return pathOf({ group, version, kind: '', plural: '', namespaced: false }).split('/').filter(Boolean).join('/')
}

/** `dev.carrel.v1alpha1.AgentRuntime`. */
function reversed({ group, version, kind }: ServedKind): string {
  return [...group.split('.').reverse(), version, kind].join('.')
}

function withMetadata(schema: Schema): Schema {
  const properties = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    ...(schema.properties as Schema | undefined),
    metadata: refTo(schemaName('V1ObjectMeta')),
  }
  return { ...schema, properties }
}

function listSchema({ group, version, kind }: ServedKind, item: string): Schema {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object', properties: { resourceVersion: { type: 'string' }, continue: { type: 'string' } } },
      items: { type: 'array', items: refTo(item) },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind: `${kind}List` }],
  }
}
