/** Adapter: puts a gateway together. All its wiring. */
import { PART_LABEL, SYSTEM_NAMESPACE } from '../crds/system.ts'
import { keepLease } from '../kube/membership.ts'
import { uuid } from '../env/random.ts'
import { SessionDesk } from './sessions/sessions.ts'
import { Tables } from './sessions/tables.ts'
import { ACCESS_KEY_TYPE, accessKeyOf, type AccessKeys } from './auth/access-keys.ts'
import type { GatewayEnv } from './env.ts'
import { Gateway, type GatewayOptions } from './gateway.ts'
import { Pools } from './proxy/pools.ts'

export interface RunningGateway {
  gateway: Gateway
  port: number
  /** Resolves when the tables are complete and the reaper can know of this gateway. */
  ready: Promise<void>
  /** Drains, then stops. */
  stop(graceMs: number): Promise<void>
}

const MIB = 1024 * 1024
export const DEFAULT_SPOOL_LIMITS = { perKeyBytes: 1024 * MIB, perAddressBytes: 1024 * MIB, totalBytes: 4096 * MIB }

export async function startGateway(env: GatewayEnv, options: GatewayOptions): Promise<RunningGateway> {
  const end = new AbortController()
  const tables = new Tables(env, { namespace: SYSTEM_NAMESPACE, accessKeyType: ACCESS_KEY_TYPE }, end.signal)
  const name = `gateway-${uuid(env.random)}`
  const lease = keepLease(
    { env, transport: env.kubernetes, namespace: SYSTEM_NAMESPACE, name, labels: { [PART_LABEL]: 'gateway' } },
    end.signal,
  )
  const ready = Promise.all([tables.synced, lease.held]).then(() => undefined)
  const desk = new SessionDesk(env, tables, { name, ready })
  const pools = new Pools()
  desk.onGone((podUID, reason) => pools.remove(podUID, reason === 'AgentExited' ? 'gently' : 'at once'))
  const gateway = new Gateway(env, options, desk, accessKeysIn(tables), pools)
  const { port } = await gateway.listen()
  const stamping = desk.run(end.signal)
  return {
    gateway,
    port,
    ready,
    async stop(graceMs) {
      await gateway.drain(graceMs)
      end.abort()
      await Promise.all([stamping, lease.ended])
    },
  }
}

/** Kept as the Secrets change: a key that is deleted is unknown at once. */
function accessKeysIn(tables: Tables): AccessKeys {
  return {
    find: (accessKeyId) => {
      const [secret] = tables.accessKeys.by('id', accessKeyId)
      return secret && accessKeyOf(secret)
    },
  }
}
