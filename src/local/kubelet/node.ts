import { rfc3339Seconds } from '../../env/clock.ts'
import { ApiError } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Resource } from '../../kube/resource.ts'
import type { KubeletTools } from './reconcile.ts'

export interface Node extends KubeObject {
  status?: object
}

export const NODES: Resource<Node> = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }

/** Shows the node to people. Nothing depends on it: an API that serves or allows no nodes is fine. */
export async function registerNode({ client, env, node }: KubeletTools): Promise<void> {
  const now = rfc3339Seconds(env.clock.now())
  const metadata = { name: node.name, labels: { 'kubernetes.io/hostname': node.name } }
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'pods run as processes',
        lastTransitionTime: now,
        lastHeartbeatTime: now,
      },
    ],
    ...(node.logPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: node.logPort } } }),
    nodeInfo: { kubeletVersion: 'carrel-process-kubelet' },
  }
  try {
    const exists = await client.find(NODES, undefined, node.name)
    if (!exists) await client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata })
    await client.mergePatch(NODES, undefined, node.name, { status }, { subresource: 'status' })
  } catch (error) {
    const unserved = error instanceof ApiError && (error.status === 403 || error.status === 404)
    if (!unserved) env.log.warn({ node: node.name, err: error }, 'the node could not be registered')
  }
}
