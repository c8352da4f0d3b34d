import type { Column } from '../../../crds/define-kind.ts'
import type { Condition, KubeObject } from '../../../kube/objects.ts'
import { ageOf } from './age.ts'
import { eventColumns } from './columns-events.ts'
import { podColumns } from './columns-pods.ts'
import { compileJsonPath } from './json-path.ts'

/** One column of a meta.k8s.io/v1 Table, with the way to its cells. */
export interface TableColumn {
  name: string
  type: 'string' | 'integer' | 'date'
  /** `name` marks the object's name. */
  format?: 'name'
  description?: string
  /** Above 0: only with `-o wide`. */
  priority?: number
  cell(object: KubeObject, nowMs: number): Cell
}

export type Cell = string | number | boolean | null

/** An object of any kind, read field by field: the tables know no types. */
export type Loose = KubeObject & Record<string, any>

export const NAME: TableColumn = { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name }
export const AGE: TableColumn = { name: 'Age', type: 'string', cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs) }

/** The columns that `kubectl get` shows of a kind: its own printer columns, or those of the real server. */
export function columnsOf(kind: { group: string; plural: string; columns?: readonly Column[] }): readonly TableColumn[] {
  if (kind.columns !== undefined) return [NAME, ...kind.columns.map(printerColumn)]
  return BUILT_IN[kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`] ?? [NAME, AGE]
}

/** As the real server's converter for custom resources: absent values are empty cells, dates are ages. */
function printerColumn({ name, type, jsonPath, priority }: Column): TableColumn {
  const find = compileJsonPath(jsonPath)
  return {
    name,
    type,
    ...(priority === undefined ? {} : { priority }),
    cell(object, nowMs) {
      const values = find(object)
      if (values.length === 0) return type === 'date' ? '<unknown>' : null
      if (type === 'date') return ageOf(values[0], nowMs)
      if (type === 'integer') return typeof values[0] === 'number' ? values[0] : null
      return values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(',')
    },
  }
}

const text = (name: string, cell: (object: Loose) => unknown, priority?: number): TableColumn => ({
  name,
  type: 'string',
  ...(priority === undefined ? {} : { priority }),
  cell: (object) => {
    const value = cell(object)
    return value === undefined || value === null || value === '' ? '<none>' : String(value)
  },
})

const count = (name: string, cell: (object: Loose) => unknown): TableColumn => ({
  name,
  type: 'integer',
  cell: (object) => Number(cell(object) ?? 0),
})

const sizeOf = (record: object | undefined): number => Object.keys(record ?? {}).length

const NODE_ROLE = 'node-role.kubernetes.io/'

function nodeStatus({ spec, status }: Loose): string {
  const ready = (status?.conditions as Condition[] | undefined)?.find(({ type }) => type === 'Ready')
  const word = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
  return spec?.unschedulable === true ? `${word},SchedulingDisabled` : word
}

function rolesOf({ metadata }: Loose): string {
  const roles = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(NODE_ROLE))
  return roles.map((label) => label.slice(NODE_ROLE.length)).join(',')
}

const addressOf = (type: string) => (node: Loose): unknown =>
  (node.status?.addresses as { type: string; address: string }[] | undefined)?.find((address) => address.type === type)?.address

/** As printers/internalversion prints them. */
const BUILT_IN: Record<string, readonly TableColumn[]> = {
  pods: podColumns,
  events: eventColumns,
  'events.events.k8s.io': eventColumns,
  namespaces: [NAME, text('Status', ({ status }) => status?.phase), AGE],
  secrets: [NAME, text('Type', ({ type }) => type), count('Data', ({ data }) => sizeOf(data)), AGE],
  configmaps: [NAME, count('Data', ({ data, binaryData }) => sizeOf(data) + sizeOf(binaryData)), AGE],
  serviceaccounts: [NAME, count('Secrets', ({ secrets }) => secrets?.length), AGE],
  'leases.coordination.k8s.io': [NAME, text('Holder', ({ spec }) => spec?.holderIdentity), AGE],
  'controllerrevisions.apps': [NAME, text('Controller', controllerOf), count('Revision', ({ revision }) => revision), AGE],
  'customresourcedefinitions.apiextensions.k8s.io': [NAME, text('Created At', ({ metadata }) => metadata.creationTimestamp)],
  nodes: [
    NAME,
    text('Status', nodeStatus),
    text('Roles', rolesOf),
    AGE,
    text('Version', ({ status }) => status?.nodeInfo?.kubeletVersion),
    text('Internal-IP', addressOf('InternalIP'), 1),
    text('OS-Image', ({ status }) => status?.nodeInfo?.osImage, 1),
    text('Kernel-Version', ({ status }) => status?.nodeInfo?.kernelVersion, 1),
    text('Container-Runtime', ({ status }) => status?.nodeInfo?.containerRuntimeVersion, 1),
  ],
}

/** `statefulset.apps/web`: kind in lower case with its group. */
function controllerOf({ metadata }: Loose): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
  if (owner === undefined) return undefined
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}
