import { SYSTEM_NAMESPACE as NAMESPACE } from '../../crds/system.ts'
import { isAlreadyExists } from '../../kube/errors.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Resource } from '../../kube/resource.ts'
import { GRANTS, type Grant } from '../api/identities.ts'

const RBAC = 'rbac.authorization.k8s.io'

type Part = keyof typeof GRANTS
type AnyObject = KubeObject & Record<string, unknown>

const core = (kind: string, plural: string, namespaced: boolean): Resource<AnyObject> => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  namespaced,
})
const rbac = (kind: string, plural: string, namespaced: boolean): Resource<AnyObject> => ({
  group: RBAC,
  version: 'v1',
  kind,
  plural,
  namespaced,
})

/** Makes, on a cluster, a service account for each part of Carrel with the rights that the embedded API gives it. Idempotent. */
export async function ensureIdentities(admin: KubeClient): Promise<void> {
  await ensure(admin, core('Namespace', 'namespaces', false), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
  for (const part of Object.keys(GRANTS) as Part[]) {
    await ensure(admin, core('ServiceAccount', 'serviceaccounts', true), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: part, namespace: NAMESPACE },
    })
    const grants: readonly Grant[] = GRANTS[part]
    await ensureRole(
      admin,
      part,
      grants.filter(({ namespace }) => namespace === undefined),
      undefined,
    )
    const namespaces = new Set(grants.flatMap(({ namespace }) => namespace ?? []))
    for (const namespace of namespaces) {
      await ensureRole(
        admin,
        part,
        grants.filter((grant) => grant.namespace === namespace),
        namespace,
      )
    }
  }
}

/** What the owner of a local installation may do as a caller of agents; as an administrator it has a kubeconfig. Idempotent. */
export async function ensureLocalUser(admin: KubeClient, user: string): Promise<void> {
  const name = 'carrel-local-user'
  await ensure(admin, rbac('ClusterRole', 'clusterroles', false), {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRole',
    metadata: { name },
    rules: [
      {
        verbs: ['create'],
        apiGroups: ['carrel.dev'],
        resources: ['invocations', 'stop', 'invocationsforuser'].map((right) => `agentruntimes/${right}`),
      },
      { verbs: ['get', 'list', 'watch'], apiGroups: ['carrel.dev'], resources: ['agentruntimes', 'agentsessions'] },
      { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
      { verbs: ['get'], nonResourceURLs: ['/metrics'] },
    ],
  })
  await ensure(admin, rbac('ClusterRoleBinding', 'clusterrolebindings', false), {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    subjects: [{ apiGroup: RBAC, kind: 'User', name: user }],
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
  })
}

/** A token of the part's service account, good for `seconds`. */
export async function tokenOf(admin: KubeClient, part: Part, seconds: number): Promise<string> {
  const resource: Resource<AnyObject> = core('TokenRequest', `serviceaccounts/${part}/token`, true)
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: { name: part, namespace: NAMESPACE } }
  const made = await admin.create(resource, { ...request, spec: { expirationSeconds: seconds } })
  return (made['status'] as { token: string }).token
}

async function ensureRole(admin: KubeClient, part: Part, grants: readonly Grant[], namespace: string | undefined): Promise<void> {
  const name = `carrel-${part}`
  const prefix = namespace === undefined ? 'Cluster' : ''
  const resource = (kind: string): Resource<AnyObject> =>
    rbac(`${prefix}${kind}`, `${prefix}${kind}s`.toLowerCase(), namespace !== undefined)
  const object = (kind: string): AnyObject => ({
    apiVersion: `${RBAC}/v1`,
    kind: `${prefix}${kind}`,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  })
  const subjects = [{ kind: 'ServiceAccount', name: part, namespace: NAMESPACE }]
  const roleRef = { apiGroup: RBAC, kind: `${prefix}Role`, name }
  await ensure(admin, resource('Role'), { ...object('Role'), rules: grants.flatMap(rulesOf) })
  await ensure(admin, resource('RoleBinding'), { ...object('RoleBinding'), subjects, roleRef })
}

/** One rule for each API group: a rule with two would grant every resource in both. */
function rulesOf({ verbs, on }: Grant): object[] {
  const byGroup = Map.groupBy(on, (resource) => resource.slice(0, resource.indexOf('/')))
  return [...byGroup].map(([group, resources]) => ({
    verbs,
    apiGroups: [group],
    resources: resources.map((resource) => resource.slice(group.length + 1)),
  }))
}

/** Made, or brought to what it should be. */
export async function ensure(admin: KubeClient, resource: Resource<AnyObject>, wanted: AnyObject): Promise<void> {
  try {
    await admin.create(resource, wanted)
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const { metadata, ...content } = wanted
    await admin.mergePatch(resource, metadata.namespace, metadata.name, content)
  }
}
