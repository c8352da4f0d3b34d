/** Adapter: the operator's own view of the cluster. */
import { systemClock, systemRandom } from '../../../src/env/system.ts'
import { loadCluster } from '../../../src/kube/credentials.ts'
import { httpTransport } from '../../../src/kube/http-transport.ts'
import { Cluster } from '../../../src/operator/cluster.ts'
import { quiet } from '../quiet.ts'
import type { Follower } from './follower.ts'

export const operator: Follower = {
  async start(kubeconfig, onChange) {
    const kubernetes = httpTransport(loadCluster({ kubeconfig }))
    const cluster = new Cluster({ clock: systemClock, random: systemRandom, log: quiet, kubernetes })
    await cluster.follow(new AbortController().signal)
    cluster.sessions.subscribe(onChange)
    cluster.pods.subscribe(onChange)
    return () => cluster.sessions.size + cluster.pods.size
  },
}
