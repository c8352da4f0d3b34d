/** Adapter: operator and gateway beside the embedded API in one process, each with an Env of its own. */
import type { Activity } from '../../activity/activity.ts'
import type { Env } from '../../env/env.ts'
import { DEFAULT_SPOOL_LIMITS, startGateway } from '../../gateway/start.ts'
import { tcpDial } from '../../gateway/proxy/dial.ts'
import { Operator } from '../../operator/operator.ts'
import { httpProbe } from '../../operator/probe.ts'
import { operatorSettings } from '../../operator/settings.ts'
import type { Home } from '../home.ts'
import { LOCAL_USER } from './access-key.ts'
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
  const operator = new Operator(
    { ...env, kubernetes: api.transportOf('operator'), activity: activity ?? api.activityFor('operator'), probe },
    operatorSettings.parse({ accountId, region, artifacts: 'code', sessionTtlSeconds: sessionTtl }),
  )
  const operating = operator.run(ending.signal)

  const gateway = await startGateway(
    { ...env, kubernetes: api.transportOf('gateway'), activity: activity ?? api.activityFor('gateway'), dial: tcpDial },
    {
      accountId,
      region,
      host: '127.0.0.1',
      port: settings.port,
      hosts: ['127.0.0.1:PORT', 'localhost:PORT'],
      spoolDirectory: home.spool,
      spoolLimits: DEFAULT_SPOOL_LIMITS,
      mayReadLogs: (owner) => owner.issuer === 'kubernetes' && owner.subject === LOCAL_USER,
    },
  )
  return {
    gatewayUrl: `http://127.0.0.1:${gateway.port}`,
    ready: gateway.ready,
    async stop() {
      ending.abort()
      await Promise.all([gateway.stop(DRAIN_MS), operating])
      await probe.close()
    },
  }
}
