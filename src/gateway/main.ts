/** Adapter: the gateway as a process of its own. */
import { openActivity } from '../activity/open.ts'
import { activityOverTransport } from '../activity/over-transport.ts'
import { readSettings } from '../env/settings.ts'
import { systemClock, systemRandom } from '../env/system.ts'
import { loadCluster } from '../kube/credentials.ts'
import { httpTransport } from '../kube/http-transport.ts'
import { openAuthorizers } from '../oidc/open.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { openLog } from '../telemetry/log.ts'
import { onParentGone, reportToParent } from '../telemetry/parent.ts'
import { gatewaySettings } from './settings.ts'
import { DEFAULT_SPOOL_LIMITS, startGateway } from './start.ts'

const settings = readSettings(
  { name: 'carrel-gateway', description: "Carrel's gateway: authenticates calls and routes session ids to pods." },
  gatewaySettings,
)
onParentGone(() => process.exit(1))
const log = openLog({ name: 'gateway', level: settings.logLevel })
const kubernetes = httpTransport(loadCluster({ kubeconfig: settings.kubeconfig }))
const base = { clock: systemClock, random: systemRandom, log }
const oidc = openAuthorizers(base, settings)
const opened = await openActivity(settings, base, () => activityOverTransport(kubernetes))
const env = { ...base, kubernetes, activity: opened.activity }
const registry = new Metrics()
registry.ofThisProcess()

const gateway = await startGateway(env, {
  accountId: settings.accountId,
  region: settings.region,
  host: settings.host,
  port: settings.port,
  hosts: settings.hosts?.split(','),
  spoolDirectory: settings.spoolDirectory,
  spoolLimits: DEFAULT_SPOOL_LIMITS,
  publicUrl: settings.publicUrl,
  authorizers: oidc.authorizers,
  logSubjects: settings.logSubjects,
  connectionsPerAddress: settings.connectionsPerAddress,
  proof: settings.proof === 'none' ? 'none' : { meterSecret: settings.meterSecret! },
  registry,
})
log.info({ port: gateway.port }, 'gateway listens')
reportToParent({ listening: gateway.port })
await gateway.ready
log.info({ port: gateway.port }, 'gateway ready')
reportToParent({ ready: true })

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void gateway
      .stop(settings.drainSeconds * 1000)
      .then(() => Promise.all([kubernetes.close(), oidc.close()]))
      .then(() => opened.end())
  })
}
