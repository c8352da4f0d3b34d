import type { V1ControllerRevision, V1Pod, V1Secret } from '@kubernetes/client-node'

/** Objects as they are on the wire: times are strings, unlike in client-node's typed models (reference A.2). */
export type Json<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T

export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  generateName?: string
}

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** metav1.Condition. */
export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  lastTransitionTime: string
  observedGeneration?: number
}

/** metav1.Status: the body of every refusal. */
export interface Status {
  apiVersion: 'v1'
  kind: 'Status'
  metadata?: object
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: {
    name?: string
    group?: string
    kind?: string
    uid?: string
    causes?: { reason?: string; message?: string; field?: string }[]
    retryAfterSeconds?: number
  }
  code: number
}

export type Pod = Omit<Json<V1Pod>, 'metadata' | 'apiVersion' | 'kind'> & KubeObject
export type Secret = Omit<Json<V1Secret>, 'metadata' | 'apiVersion' | 'kind'> & KubeObject
export type ControllerRevision<Data = unknown> = Omit<Json<V1ControllerRevision>, 'metadata' | 'apiVersion' | 'kind' | 'data'> &
  KubeObject & { data: Data; revision: number }
