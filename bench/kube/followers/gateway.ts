/** Adapter: the gateway's own tables. */
import { MemoryActivity } from '../../../src/activity/memory.ts'
import { systemClock, systemRandom } from '../../../src/env/system.ts'
import { ACCESS_KEY_TYPE } from '../../../src/crds/system.ts'
import { Pools } from '../../../src/gateway/proxy/pools.ts'
import { Tables } from '../../../src/gateway/sessions/tables.ts'
import { loadCluster } from '../../../src/kube/credentials.ts'
import { httpTransport } from '../../../src/kube/http-transport.ts'
import { quiet } from '../quiet.ts'
import type { Follower } from './follower.ts'

export const gateway: Follower = {
  async start(kubeconfig, onChange) {
    const kubernetes = httpTransport(loadCluster({ kubeconfig }))
    const env = {
      clock: systemClock,
      random: systemRandom,
      log: quiet,
      kubernetes,
      activity: new MemoryActivity(systemClock),
      dial: new Pools('none'),
    }
    const settings = { namespace: 'carrel-system', accessKeyType: ACCESS_KEY_TYPE }
    const tables = new Tables(env, settings, new AbortController().signal)
    await tables.synced
    tables.sessions.subscribe(onChange)
    tables.pods.subscribe(onChange)
    return () => tables.sessions.size + tables.pods.size
  },
}
