import type { KubeClient } from '../../kube/client.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Resource } from '../../kube/resource.ts'
import { IDENTITIES, OPERATOR_ONLY } from '../api/identities.ts'
import { ensure } from './roles.ts'

const GROUP = 'admissionregistration.k8s.io'
const NAME = 'carrel-status-is-the-operators'

const kind = (name: string, plural: string): Resource<KubeObject & Record<string, unknown>> => ({
  group: GROUP,
  version: 'v1',
  kind: name,
  plural,
  namespaced: false,
})

/**
 * Security rule 3 on a cluster: a status is the word of the operator, and not even an administrator's. Takes effect
 * within a second.
 */
export async function ensureStatusPolicy(admin: KubeClient): Promise<void> {
  const statuses = [...OPERATOR_ONLY].map((path) => ({
    group: path.slice(0, path.indexOf('/')),
    resource: path.slice(path.indexOf('/') + 1),
  }))
  await ensure(admin, kind('ValidatingAdmissionPolicy', 'validatingadmissionpolicies'), {
    apiVersion: `${GROUP}/v1`,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [...new Set(statuses.map(({ group }) => group))],
            apiVersions: ['*'],
            operations: ['UPDATE'],
            resources: statuses.map(({ resource }) => resource),
          },
        ],
      },
      validations: [
        {
          expression: `request.userInfo.username == '${IDENTITIES.operator.user}'`,
          message: 'only the operator writes this status',
          reason: 'Forbidden',
        },
      ],
    },
  })
  await ensure(admin, kind('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings'), {
    apiVersion: `${GROUP}/v1`,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME, validationActions: ['Deny'] },
  })
}
