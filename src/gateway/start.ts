/** Adapter: puts a gateway together. All its wiring. */
import { ACCESS_KEY_TYPE, PART_LABEL, SYSTEM_NAMESPACE } from '../crds/system.ts'
import { boundedTransport } from '../kube/bounded-transport.ts'
import { keepLease } from '../kube/membership.ts'
import type { Secret } from '../kube/objects.ts'
import { uuid } from '../env/random.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { activityAnswer } from './activity-answer.ts'
import { Limits } from './limits/limits.ts'
import { GatewayMetrics } from './metrics.ts'
import { SessionDesk } from './sessions/sessions.ts'
import { Tables } from './sessions/tables.ts'
import { accessKeyOf, type AccessKey, type AccessKeys } from './auth/access-keys.ts'
import { Authenticator, type Bearers } from './auth/authenticate.ts'
import { TokenReviews } from './auth/cluster-tokens.ts'
import { AccessReviews } from './auth/rights.ts'
import type { GatewayEnv } from './env.ts'
import { Gateway, type GatewayOptions } from './gateway.ts'
import type { Proving } from './proxy/connect.ts'
import { Pools } from './proxy/pools.ts'
import { meterProof } from './proxy/prove.ts'

export interface RunningGateway {
  gateway: Gateway
  port: number
  /** Resolves when the tables are complete and the reaper can know of this gateway. */
  ready: Promise<void>
  /** Drains, then stops. */
  stop(graceMs: number): Promise<void>
}

/** A caller waits no longer for a verdict. */
const REVIEW_TIMEOUT_MS = 3_000
export interface StartOptions {
  authorizers: Bearers
  /** The secret that the proofs of pods are made from. `none`: connections are not proven, so no address may ever have a second pod. */
  proof: { meterSecret: string } | 'none'
  /** What the process counts; the gateway's own without one. */
  registry?: Metrics
}

const MIB = 1024 * 1024
export const DEFAULT_SPOOL_LIMITS = { perKeyBytes: 1024 * MIB, perAddressBytes: 1024 * MIB, totalBytes: 4096 * MIB }

export async function startGateway(base: Omit<GatewayEnv, 'dial'>, options: GatewayOptions & StartOptions): Promise<RunningGateway> {
  const { authorizers, registry, proof, ...rest } = options
  const metrics = new GatewayMetrics(registry)
  const pools = new Pools(provingBy(proof, base, metrics))
  const env: GatewayEnv = { ...base, dial: pools }
  const end = new AbortController()
  const tables = new Tables(env, { namespace: SYSTEM_NAMESPACE, accessKeyType: ACCESS_KEY_TYPE }, end.signal)
  const name = `gateway-${uuid(env.random)}`
  const lease = keepLease(
    { env, transport: env.kubernetes, namespace: SYSTEM_NAMESPACE, name, labels: { [PART_LABEL]: 'gateway' } },
    end.signal,
  )
  const ready = Promise.all([tables.synced, lease.held]).then(() => undefined)
  const limits = new Limits(env, tables, metrics)
  const desk = new SessionDesk(env, tables, { name, ready, limits, metrics })
  const reviewing = boundedTransport(env, env.kubernetes, REVIEW_TIMEOUT_MS)
  desk.onGone((podUID, reason) => pools.remove(podUID, reason === 'AgentExited' ? 'gently' : 'at once'))
  const rights = new AccessReviews(env.clock, reviewing)
  const parts = {
    sessions: desk,
    pools,
    rights,
    authenticator: new Authenticator(env.clock, options, {
      keys: accessKeysIn(tables),
      tokens: new TokenReviews(env.clock, reviewing),
      bearers: authorizers,
    }),
    limits,
    metrics,
    activity: (namespace: string | undefined) => activityAnswer({ namespace }, { sessions: tables.sessions, activity: env.activity }),
  }
  const gateway = new Gateway(env, rest, parts)
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

function provingBy(proof: StartOptions['proof'], { random }: Pick<GatewayEnv, 'random'>, metrics: GatewayMetrics): Proving {
  if (proof === 'none') return 'none'
  return meterProof({ random, secret: proof.meterSecret, told: (outcome) => metrics.proved(outcome) })
}

/** Kept as the Secrets change: a key that is deleted is unknown at once. */
function accessKeysIn(tables: Tables): AccessKeys {
  const read = new WeakMap<Secret, AccessKey>()
  return {
    find: (accessKeyId, nowMs) => {
      const [secret] = tables.accessKeys.by('id', accessKeyId)
      const key = secret && (read.get(secret) ?? accessKeyOf(secret))
      if (key) read.set(secret, key)
      return key?.notAfterMs !== undefined && key.notAfterMs < nowMs ? undefined : key
    },
  }
}
