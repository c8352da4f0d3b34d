import type { Column } from '../../../crds/define-kind.ts'
import type { KubeObject } from '../../../kube/objects.ts'
import { ageOf } from './age.ts'
import type { TableColumn } from './column.ts'
import { definitionColumns } from './columns-definitions.ts'
import { eventColumns } from './columns-events.ts'
import { bindingColumns } from './columns-bindings.ts'
import { podColumns } from './columns-pods.ts'
import { compileJsonPath } from './json-path.ts'

export const NAME: TableColumn = { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name }
export const AGE: TableColumn = { name: 'Age', type: 'string', cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs) }

const CREATED: TableColumn = { name: 'Created At', type: 'date', cell: (object) => object.metadata.creationTimestamp ?? '' }

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

/** The first value at the path, `<none>` where there is nothing to say. */
function text(name: string, path: string, priority?: number): TableColumn {
  const find = compileJsonPath(path)
  return {
    name,
    type: 'string',
    ...(priority === undefined ? {} : { priority }),
    cell: (object) => {
      const [value = ''] = find(object)
      return value === '' ? '<none>' : typeof value === 'string' ? value : JSON.stringify(value)
    },
  }
}

/** How many entries the maps or lists at the paths have together. */
function entries(name: string, ...paths: string[]): TableColumn {
  const finds = paths.map(compileJsonPath)
  const cell = (object: KubeObject): number =>
    finds.flatMap((find) => find(object)).reduce<number>((sum, value) => sum + Object.keys(value as object).length, 0)
  return { name, type: 'string', cell }
}

/** A number as it is. */
function number(name: string, path: string): TableColumn {
  const find = compileJsonPath(path)
  return { name, type: 'string', cell: (object) => (find(object)[0] as number | undefined) ?? 0 }
}

const derived = (name: string, derive: (object: KubeObject) => string): TableColumn => ({
  name,
  type: 'string',
  cell: (object) => derive(object) || '<none>',
})

const readiness = compileJsonPath('.status.conditions[?(@.type=="Ready")].status')
const cordoned = compileJsonPath('.spec.unschedulable')

function nodeStatus(node: KubeObject): string {
  const [ready] = readiness(node)
  const word = ready === undefined ? 'Unknown' : ready === 'True' ? 'Ready' : 'NotReady'
  return cordoned(node)[0] === true ? `${word},SchedulingDisabled` : word
}

const NODE_ROLE = 'node-role.kubernetes.io/'

function rolesOf({ metadata }: KubeObject): string {
  const roles = Object.keys(metadata.labels ?? {}).filter((label) => label.startsWith(NODE_ROLE))
  return roles.map((label) => label.slice(NODE_ROLE.length)).join(',')
}

/** `statefulset.apps/web`: kind in lower case with its group. */
function controllerOf({ metadata }: KubeObject): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
  if (owner === undefined) return ''
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}

/** As printers/internalversion prints them. */
const BUILT_IN: Record<string, readonly TableColumn[]> = {
  pods: podColumns,
  events: eventColumns,
  'events.events.k8s.io': eventColumns,
  namespaces: [NAME, text('Status', '.status.phase'), AGE],
  secrets: [NAME, text('Type', '.type'), entries('Data', '.data'), AGE],
  configmaps: [NAME, entries('Data', '.data', '.binaryData'), AGE],
  serviceaccounts: [NAME, AGE],
  'roles.rbac.authorization.k8s.io': [NAME, CREATED],
  'clusterroles.rbac.authorization.k8s.io': [NAME, CREATED],
  'rolebindings.rbac.authorization.k8s.io': bindingColumns,
  'clusterrolebindings.rbac.authorization.k8s.io': bindingColumns,
  'leases.coordination.k8s.io': [NAME, text('Holder', '.spec.holderIdentity'), AGE],
  'controllerrevisions.apps': [NAME, derived('Controller', controllerOf), number('Revision', '.revision'), AGE],
  'customresourcedefinitions.apiextensions.k8s.io': definitionColumns,
  nodes: [
    NAME,
    derived('Status', nodeStatus),
    derived('Roles', rolesOf),
    AGE,
    text('Version', '.status.nodeInfo.kubeletVersion'),
    text('Internal-IP', '.status.addresses[?(@.type=="InternalIP")].address', 1),
    text('OS-Image', '.status.nodeInfo.osImage', 1),
    text('Kernel-Version', '.status.nodeInfo.kernelVersion', 1),
    text('Container-Runtime', '.status.nodeInfo.containerRuntimeVersion', 1),
  ],
}
