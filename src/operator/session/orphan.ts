import { isNotFound, ApiError } from '../../kube/errors.ts'
import type { KubeObject, Pod } from '../../kube/objects.ts'
import type { Resource } from '../../kube/resource.ts'
import { disruptionOf } from './pod-end.ts'
import type { SessionTools } from './step.ts'

interface Node extends KubeObject {
  status?: { conditions?: { type: string; status: string }[] }
}

const NODES: Resource<Node> = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }
/** After the time at which a pod that is deleted should have been gone. Clocks of API server and operator may differ by some of it. */
const OVERDUE_MS = 5_000

/**
 * A pod that nobody can end: its node is silent, and the time that it had to go is over. It may still run, unseen; it is
 * never routed to, its activeDeadlineSeconds end it, and it no longer holds its session back (design rule 2).
 */
export async function isOrphan(pod: Pod, tools: SessionTools): Promise<boolean> {
  const { deletionTimestamp } = pod.metadata
  if (!deletionTimestamp || !pod.spec?.nodeName) return false
  if (tools.env.clock.now() < Date.parse(deletionTimestamp) + OVERDUE_MS) return false
  return isNodeSilent(pod, tools)
}

/** By the cluster's own judgement of the node; who may not read nodes takes the taint manager's deletion for it. */
export async function isNodeSilent(pod: Pod, { cluster, env }: SessionTools): Promise<boolean> {
  try {
    const node = await cluster.client.get(NODES, undefined, pod.spec!.nodeName!)
    return node.status?.conditions?.find(({ type }) => type === 'Ready')?.status !== 'True'
  } catch (error) {
    if (isNotFound(error)) return true
    if (!(error instanceof ApiError && error.status === 403)) throw error
    env.log.debug({ pod: pod.metadata.name, err: error }, 'its node may not be read')
    return ['DeletionByTaintManager', 'DeletionByPodGC'].includes(disruptionOf(pod) ?? '')
  }
}
