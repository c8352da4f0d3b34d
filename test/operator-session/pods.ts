/** Pods as kubelet tells of them. */
import type { Pod } from '../../src/kube/objects.ts'

type Status = NonNullable<Pod['status']>
export type ContainerStatus = NonNullable<Status['containerStatuses']>[number]

export function podOf(status: Status, metadata: Partial<Pod['metadata']> = {}): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-1', namespace: 'default', uid: 'uid-1', ...metadata }, status }
}

export function containerStatus(name: string, state: NonNullable<ContainerStatus['state']>): ContainerStatus {
  return { name, image: 'docker.io/acme/agent:1', imageID: '', ready: false, restartCount: 0, state }
}
