import type { KubeObject } from '../../../kube/objects.ts'

export const RBAC_GROUP = 'rbac.authorization.k8s.io'

/** What a role allows: verbs on resources, or on paths. */
export interface PolicyRule {
  verbs: string[]
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
}

export interface Subject {
  kind: string
  apiGroup?: string
  name: string
  /** Of a ServiceAccount; absent in a RoleBinding: the binding's own. */
  namespace?: string
}

export interface RoleRef {
  apiGroup: string
  kind: string
  name: string
}

/** Role and ClusterRole. */
export type Role = KubeObject & { rules?: PolicyRule[] | null; aggregationRule?: { clusterRoleSelectors?: object[] } }

/** RoleBinding and ClusterRoleBinding. */
export type Binding = KubeObject & { roleRef: RoleRef; subjects?: Subject[] }

/** One question: may it do this? */
export type Access = ResourceAccess | PathAccess

export interface ResourceAccess {
  verb: string
  group: string
  resource: string
  subresource?: string
  /** '' for what has no namespace, and for all of them together. */
  namespace: string
  /** Absent or '' for every object, and for one that is still to be made. */
  name?: string
}

export interface PathAccess {
  verb: string
  path: string
}

/** Who asks; authenticated, or named by a review. */
export interface Person {
  user: string
  groups: readonly string[]
}
