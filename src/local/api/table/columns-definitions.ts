import type { KubeObject } from '../../../kube/objects.ts'
import type { TableColumn } from './column.ts'

interface Definition extends KubeObject {
  spec: {
    group: string
    scope: string
    names: { kind: string; shortNames?: string[] }
    versions: { name: string; storage: boolean }[]
  }
}

const specOf = (object: KubeObject): Definition['spec'] => (object as Definition).spec

/** What `kubectl get crd` shows. */
export const definitionColumns: readonly TableColumn[] = [
  { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name },
  { name: 'Scope', type: 'string', cell: (object) => specOf(object).scope },
  { name: 'Versions', type: 'string', cell: versionsOf },
  { name: 'Created At', type: 'date', cell: (object) => object.metadata.creationTimestamp ?? '' },
  { name: 'Group', type: 'string', priority: 1, cell: (object) => specOf(object).group },
  { name: 'Kind', type: 'string', priority: 1, cell: (object) => specOf(object).names.kind },
  { name: 'ShortNames', type: 'string', priority: 1, cell: (object) => (specOf(object).names.shortNames ?? []).join(',') },
  { name: 'Established', type: 'boolean', priority: 1, cell: () => true },
]

function versionsOf(object: KubeObject): string {
  return specOf(object)
    .versions.map(({ name, storage }) => (storage ? `${name}(storage)` : name))
    .join(',')
}
