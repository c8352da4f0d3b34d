import type { Pod } from '../../kube/objects.ts'

export type Container = NonNullable<Pod['spec']>['containers'][number]

/**
 * What Pod Security `restricted` demands of a container, and a numeric user: of an image that names its user in words
 * Kubernetes cannot tell that it is not root.
 */
export function restricted(runAsUser: number, readOnlyRootFilesystem: boolean): NonNullable<Container['securityContext']> {
  return {
    runAsUser,
    runAsNonRoot: runAsUser !== 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  }
}
