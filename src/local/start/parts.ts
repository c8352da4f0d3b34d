/** Adapter: operator and gateway beside the embedded API in one process, each with an Env of its own. */
import type { Activity } from '../../activity/activity.ts'
import type { Env } from '../../env/env.ts'
import { DEFAULT_SPOOL_LIMITS, startGateway } from '../../gateway/start.ts'
import { openAuthorizers } from '../../oidc/open.ts'
import type { Providers } from '../../operator/env.ts'
import { OperatorMetrics } from '../../operator/metrics.ts'
import { Operator } from '../../operator/operator.ts'
import { httpProbe } from '../../operator/probe.ts'
import { operatorSettings } from '../../operator/settings.ts'
import { httpMeters } from '../../operator/usage/meter-client.ts'
import { Metrics } from '../../telemetry/metrics.ts'
import type { Home } from '../home.ts'
import type { RunningApi } from './running-api.ts'
import type { LocalSettings } from './settings.ts'

export interface RunningParts {
  gatewayUrl: string
  ready: Promise<void>
  stop(): Promise<void>
}

/** Open calls get this long when the installation is stopped. */
const DRAIN_MS = 500

/** `activity`: the store that both share, where it is not the API's own. */
export async function startParts(
  env: Env,
  home: Home,
  settings: LocalSettings,
  api: RunningApi,
  activity: Activity | undefined,
): Promise<RunningParts> {
  const { accountId, region, sessionTtl } = settings
  const ending = new AbortController()
  const probe = httpProbe()
  const meters = httpMeters(api.meter)
  const oidc = openAuthorizers(env, settings)
  const { authorizers } = oidc
  const providers: Providers = { check: (customJWT) => authorizers.checkProvider(customJWT) }
  const registry = new Metrics()
  registry.ofThisProcess()
  const operator = new Operator(
    { ...env, kubernetes: api.transportOf('operator'), activity: activity ?? api.activityFor('operator'), probe, meters, providers },
    operatorSettings.parse({ accountId, region, artifacts: 'code', sessionTtlSeconds: sessionTtl, ...api.meter }),
    new OperatorMetrics(registry),
  )
  const operating = operator.run(ending.signal)

  const gateway = await startGateway(
    { ...env, kubernetes: api.transportOf('gateway'), activity: activity ?? api.activityFor('gateway') },
    {
      accountId,
      region,
      host: '127.0.0.1',
      port: settings.port,
      hosts: ['127.0.0.1:PORT', 'localhost:PORT'],
      spoolDirectory: home.spool,
      spoolLimits: DEFAULT_SPOOL_LIMITS,
      authorizers,
      proof: 'none',
      registry,
    },
  )
  return {
    gatewayUrl: `http://127.0.0.1:${gateway.port}`,
    ready: gateway.ready,
    async stop() {
      ending.abort()
      await Promise.all([gateway.stop(DRAIN_MS), operating])
      await Promise.all([probe.close(), meters.close(), oidc.close()])
    },
  }
}
