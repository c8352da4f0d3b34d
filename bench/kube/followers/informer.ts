/** Adapter: the peer: the informers of @kubernetes/client-node, as its own examples use them. */
import {
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  makeInformer,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node'
import { AGENT_SESSIONS, SESSION_UID_LABEL } from '../../../src/crds/agent-session.ts'
import type { Follower } from './follower.ts'

export const informer: Follower = {
  async start(kubeconfig, onChange) {
    const config = new KubeConfig()
    config.loadFromFile(kubeconfig)
    const { group, version, plural } = AGENT_SESSIONS
    const custom = config.makeApiClient(CustomObjectsApi)
    const core = config.makeApiClient(CoreV1Api)
    const sessions = makeInformer(
      config,
      `/apis/${group}/${version}/${plural}`,
      async () => (await custom.listClusterCustomObject({ group, version, plural })) as KubernetesListObject<KubernetesObject>,
    )
    const pods = makeInformer(
      config,
      '/api/v1/pods',
      () => core.listPodForAllNamespaces({ labelSelector: SESSION_UID_LABEL }),
      SESSION_UID_LABEL,
    )
    const all = [sessions, pods]
    await Promise.all(all.map((one) => one.start()))
    for (const one of all) for (const verb of ['add', 'update', 'delete'] as const) one.on(verb, onChange)
    return () => sessions.list().length + pods.list().length
  },
}
