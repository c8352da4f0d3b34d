import { pathOf } from '../../../kube/resource.ts'
import type { Face, FacedKind } from '../faces.ts'
import { refTo, schemaName } from './built-ins.ts'
import type { Schema } from './built-ins.ts'

export type Paths = Record<string, Record<string, unknown>>

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

const PATCH_TYPES = ['application/merge-patch+json', 'application/json-patch+json']

const QUERY = {
  dryRun: 'With All, nothing is stored.',
  fieldManager: 'Accepted and not recorded: there is no server-side apply here.',
  fieldValidation: 'What an unknown field gets: Strict (refused), Warn (pruned, with a warning), Ignore (pruned).',
  labelSelector: 'Only objects with these labels.',
  fieldSelector: 'Only objects with these fields.',
  resourceVersion: 'Where a watch begins.',
  watch: 'Changes as they come, instead of a list.',
}

const WRITES = ['dryRun', 'fieldManager', 'fieldValidation'] as const
const READS = ['labelSelector', 'fieldSelector', 'resourceVersion', 'watch'] as const

/** The paths of one kind: its collection, its objects, and their status. */
export function pathsOf(kind: FacedKind, face: Face, schema: string): Paths {
  const operation = operations(kind, schema)
  const namespace = kind.namespaced ? '{namespace}' : undefined
  const inScope = kind.namespaced ? [pathParameter('namespace')] : []
  const collection = unescaped(pathOf(kind, namespace))
  if (kind.isReview) return { [collection]: { post: operation('post', 'create'), parameters: inScope } }
  const writable = face.verbs.includes('create')
  const paths: Paths = {
    [collection]: {
      get: operation('get', 'list'),
      ...(writable ? { post: operation('post', 'create'), delete: operation('delete', 'deletecollection') } : {}),
      parameters: inScope,
    },
  }
  if (kind.namespaced) paths[pathOf(kind)] = { get: operation('get', 'list') }
  const one = { get: operation('get', 'get') }
  const changes = { put: operation('put', 'put'), patch: operation('patch', 'patch') }
  const parameters = [...inScope, pathParameter('name')]
  paths[`${collection}/{name}`] = { ...one, ...(writable ? { ...changes, delete: operation('delete', 'delete') } : {}), parameters }
  if (face.subresources.some(({ name }) => name === 'status')) paths[`${collection}/{name}/status`] = { ...one, ...changes, parameters }
  return paths
}

function operations({ group, version, kind }: FacedKind, schema: string): (method: Method, action: string) => Schema {
  return (method, action) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
    parameters: (method === 'get' ? (action === 'list' ? READS : []) : WRITES).map(queryParameter),
    ...requestBody(method, schema),
    responses: { 200: { description: 'OK', content: content(['application/json'], answerOf(action, schema)) } },
  })
}

function answerOf(action: string, schema: string): string {
  if (action === 'list') return `${schema}List`
  return action === 'deletecollection' ? schemaName('V1Status') : schema
}

function requestBody(method: Method, schema: string): Schema {
  if (method === 'get') return {}
  if (method === 'patch') return { requestBody: { content: content(PATCH_TYPES, undefined) } }
  return { requestBody: { content: content(['application/json'], method === 'delete' ? schemaName('V1DeleteOptions') : schema) } }
}

function content(types: string[], schema: string | undefined): Schema {
  return Object.fromEntries(types.map((type) => [type, { schema: schema === undefined ? { type: 'object' } : refTo(schema) }]))
}

function queryParameter(name: keyof typeof QUERY): Schema {
  return { name, in: 'query', description: QUERY[name], schema: { type: name === 'watch' ? 'boolean' : 'string' } }
}

function pathParameter(name: string): Schema {
  return { name, in: 'path', required: true, schema: { type: 'string' } }
}

function unescaped(path: string): string {
  return path.replaceAll('%7B', '{').replaceAll('%7D', '}')
}
