import type { Identity } from './call.ts'

/** `on`: `group/resource` or `group/resource/subresource`, '' group for core. */
export interface Grant {
  verbs: readonly string[]
  on: readonly string[]
  namespace?: string
}

const READ = ['get', 'list', 'watch']
/** To grant what one does not have oneself, and to be taken for another. */
const BEYOND = ['bind', 'escalate', 'impersonate']
const WRITE = ['create', 'update', 'patch', 'delete', 'deletecollection']
const RECORD = { verbs: ['create', 'patch', 'update'], on: ['/events', 'events.k8s.io/events'] }
const REVIEW = { verbs: ['create'], on: ['authentication.k8s.io/tokenreviews', 'authorization.k8s.io/subjectaccessreviews'] }
const LEASES = { verbs: [...READ, 'create', 'update', 'patch', 'delete'], on: ['coordination.k8s.io/leases'] }

/** What the parts of Carrel may do: here by these very lists, on a cluster by roles made of them. */
export const GRANTS = {
  operator: [
    { verbs: [...READ], on: ['carrel.dev/agentruntimes', 'carrel.dev/agentsessions', '/pods', 'apps/controllerrevisions'] },
    { verbs: ['update', 'patch'], on: ['carrel.dev/agentruntimes/status', 'carrel.dev/agentsessions/status', 'carrel.dev/agentsessions'] },
    { verbs: ['delete'], on: ['carrel.dev/agentsessions'] },
    { verbs: ['create', 'delete'], on: ['/pods'] },
    { verbs: ['get'], on: ['/pods/log'] },
    { verbs: ['get'], on: ['/nodes'] },
    { verbs: ['list'], on: ['events.k8s.io/events'] },
    { verbs: ['create', 'delete'], on: ['apps/controllerrevisions'] },
    // Keys of meters beside agents: made, and never read. On a cluster in each session namespace, and nowhere else.
    { verbs: ['create'], on: ['/secrets'], namespace: 'default' },
    REVIEW,
    RECORD,
    LEASES,
  ],
  gateway: [
    { verbs: READ, on: ['carrel.dev/agentruntimes', 'carrel.dev/agentsessions', '/pods', 'apps/controllerrevisions'] },
    REVIEW,
    { verbs: ['create', 'update', 'patch'], on: ['carrel.dev/agentsessions'] },
    { verbs: READ, on: ['/secrets'], namespace: 'carrel-system' },
    RECORD,
    LEASES,
  ],
  kubelet: [
    { verbs: [...READ, 'delete'], on: ['/pods'] },
    { verbs: ['update', 'patch'], on: ['/pods/status', '/nodes/status'] },
    { verbs: ['create'], on: ['/pods/binding'] },
    { verbs: [...READ, 'create', 'update', 'patch'], on: ['/nodes'] },
    { verbs: ['get'], on: ['/secrets', '/configmaps'] },
    RECORD,
    LEASES,
  ],
} satisfies Record<string, Grant[]>

/** Even an administrator does not write a status: it is the word of the part that observed it (security rule 3). */
export const OPERATOR_ONLY = new Set(['carrel.dev/agentruntimes/status', 'carrel.dev/agentsessions/status'])

function allowedBy(grants: readonly Grant[]): Identity['allows'] {
  return (verb, group, resource, subresource, namespace) => {
    const wanted = `${group}/${resource}${subresource ? `/${subresource}` : ''}`
    return grants.some(
      (grant) =>
        grant.verbs.includes(verb) && grant.on.includes(wanted) && (grant.namespace === undefined || grant.namespace === namespace),
    )
  }
}

/** The four callers of a local installation, with fixed rights. */
export const IDENTITIES = {
  admin: {
    user: 'carrel-admin',
    groups: ['system:authenticated'],
    allows: (verb, group, resource, subresource) =>
      READ.includes(verb) || BEYOND.includes(verb) || (WRITE.includes(verb) && !OPERATOR_ONLY.has(`${group}/${resource}/${subresource}`)),
    allowsPath: () => true,
  },
  operator: { user: 'system:serviceaccount:carrel-system:operator', groups: ['system:authenticated'], allows: allowedBy(GRANTS.operator) },
  gateway: { user: 'system:serviceaccount:carrel-system:gateway', groups: ['system:authenticated'], allows: allowedBy(GRANTS.gateway) },
  kubelet: { user: 'system:node:laptop', groups: ['system:nodes', 'system:authenticated'], allows: allowedBy(GRANTS.kubelet) },
} satisfies Record<string, Identity>
