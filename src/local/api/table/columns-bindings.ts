import type { KubeObject } from '../../../kube/objects.ts'
import type { Binding, Subject } from '../rbac/policy.ts'
import { ageOf } from './age.ts'
import type { TableColumn } from './column.ts'

const binding = (object: KubeObject): Binding => object as Binding

/** The subjects of one kind. */
function subjects(name: string, kind: string, shown: (subject: Subject) => string = ({ name: called }) => called): TableColumn {
  const cell = (object: KubeObject): string => {
    const ofKind = (binding(object).subjects ?? []).filter((subject) => subject.kind === kind)
    return ofKind.map(shown).join(', ')
  }
  return { name, type: 'string', priority: 1, cell }
}

/** What `kubectl get rolebindings` and `clusterrolebindings` show. */
export const bindingColumns: readonly TableColumn[] = [
  { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name },
  { name: 'Role', type: 'string', cell: (object) => `${binding(object).roleRef.kind}/${binding(object).roleRef.name}` },
  { name: 'Age', type: 'string', cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs) },
  subjects('Users', 'User'),
  subjects('Groups', 'Group'),
  subjects('ServiceAccounts', 'ServiceAccount', ({ namespace = '', name }) => `${namespace}/${name}`),
]
