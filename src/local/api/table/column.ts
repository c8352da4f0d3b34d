import type { KubeObject } from '../../../kube/objects.ts'

/** One column of a meta.k8s.io/v1 Table, with the way to its cells. */
export interface TableColumn {
  name: string
  type: 'string' | 'integer' | 'date' | 'boolean'
  /** `name` marks the object's name. */
  format?: 'name'
  description?: string
  /** Above 0: only with `-o wide`. */
  priority?: number
  cell(object: KubeObject, nowMs: number): Cell
}

export type Cell = string | number | boolean | null
