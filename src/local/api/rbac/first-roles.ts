import type { KubeObject } from '../../../kube/objects.ts'
import { RBAC_GROUP, type PolicyRule } from './policy.ts'

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update']
const HEALTH = ['/healthz', '/livez', '/readyz', '/version', '/version/']
const SHOWN = ['configmaps', 'events', 'pods', 'pods/log', 'pods/status', 'serviceaccounts']
const SETTINGS = ['configmaps', 'secrets', 'serviceaccounts']

const viewed: PolicyRule[] = [
  { verbs: READ, apiGroups: [''], resources: [...SHOWN, 'namespaces'] },
  { verbs: READ, apiGroups: ['events.k8s.io'], resources: ['events'] },
  { verbs: READ, apiGroups: ['apps'], resources: ['controllerrevisions'] },
  { verbs: READ, apiGroups: ['carrel.dev'], resources: ['agentruntimes', 'agentruntimes/status', 'agentsessions', 'agentsessions/status'] },
]

const edited: PolicyRule[] = [
  ...viewed,
  { verbs: READ, apiGroups: [''], resources: ['secrets'] },
  { verbs: WRITE, apiGroups: [''], resources: [...SETTINGS, 'events', 'pods'] },
  { verbs: ['create'], apiGroups: [''], resources: ['serviceaccounts/token'] },
  { verbs: WRITE, apiGroups: ['carrel.dev'], resources: ['agentruntimes'] },
  { verbs: ['create'], apiGroups: ['carrel.dev'], resources: ['agentruntimes/invocations', 'agentruntimes/stop'] },
]

const administered: PolicyRule[] = [
  ...edited,
  { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['localsubjectaccessreviews'] },
  { verbs: [...READ, ...WRITE], apiGroups: [RBAC_GROUP], resources: ['roles', 'rolebindings'] },
]

const everything: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

/** Of the real server's: those that everybody has, or that people know by name. With the groups that have them. */
const ROLES: { name: string; rules: PolicyRule[]; groups?: string[] }[] = [
  { name: 'cluster-admin', rules: everything, groups: ['system:masters'] },
  { name: 'admin', rules: administered },
  { name: 'edit', rules: edited },
  { name: 'view', rules: viewed },
  {
    name: 'system:discovery',
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: ['/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/openapi', '/openapi/*', ...HEALTH.slice(2)],
      },
    ],
    groups: ['system:authenticated'],
  },
  {
    name: 'system:basic-user',
    rules: [
      { verbs: ['create'], apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'] },
      { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    ],
    groups: ['system:authenticated'],
  },
  {
    name: 'system:public-info-viewer',
    rules: [{ verbs: ['get'], nonResourceURLs: HEALTH }],
    groups: ['system:authenticated', 'system:unauthenticated'],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: ['/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks', '/openid/v1/jwks/'],
      },
    ],
    groups: ['system:serviceaccounts'],
  },
]

const NAMES = new Set(ROLES.map(({ name }) => name))
const COLLECTIONS = new Set([`${RBAC_GROUP}/clusterroles`, `${RBAC_GROUP}/clusterrolebindings`])

/** They are made anew at every start, as this version of the server has them. */
export function isFirstRole({ collection, name }: { collection: string; name: string }): boolean {
  return COLLECTIONS.has(collection) && NAMES.has(name)
}

/** The ClusterRoles and ClusterRoleBindings that every installation has. */
export function firstRoles(): KubeObject[] {
  return ROLES.flatMap(({ name, rules, groups }) => {
    const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
    const metadata = { name, labels, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' } }
    const apiVersion = `${RBAC_GROUP}/v1`
    const role = { apiVersion, kind: 'ClusterRole', metadata, rules }
    if (groups === undefined) return [role]
    const subjects = groups.map((group) => ({ kind: 'Group', apiGroup: RBAC_GROUP, name: group }))
    const roleRef = { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name }
    return [role, { apiVersion, kind: 'ClusterRoleBinding', metadata, subjects, roleRef }]
  })
}
