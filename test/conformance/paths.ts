/** Where the kinds are that both servers have. */
export type Resource = keyof typeof PLACES

const PLACES = {
  pods: '/api/v1',
  secrets: '/api/v1',
  configmaps: '/api/v1',
  events: '/api/v1',
  serviceaccounts: '/api/v1',
  newevents: '/apis/events.k8s.io/v1',
  leases: '/apis/coordination.k8s.io/v1',
  controllerrevisions: '/apis/apps/v1',
  roles: '/apis/rbac.authorization.k8s.io/v1',
  rolebindings: '/apis/rbac.authorization.k8s.io/v1',
  agentruntimes: '/apis/carrel.dev/v1alpha1',
  agentsessions: '/apis/carrel.dev/v1alpha1',
} as const

/** `newevents` are the events of events.k8s.io. */
export function collectionPath(resource: Resource, namespace: string): string {
  return `${PLACES[resource]}/namespaces/${namespace}/${resource === 'newevents' ? 'events' : resource}`
}
