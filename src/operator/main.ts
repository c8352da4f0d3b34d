/** Adapter: the operator as a process of its own. All its wiring. */
import { hostname } from 'node:os'
import { z } from 'zod'
import { openActivity } from '../activity/open.ts'
import { activityOverTransport } from '../activity/over-transport.ts'
import { SYSTEM_NAMESPACE } from '../crds/system.ts'
import { readSettings } from '../env/settings.ts'
import { systemClock, systemRandom } from '../env/system.ts'
import { fencedTransport } from '../kube/fenced-transport.ts'
import { httpTransport } from '../kube/http-transport.ts'
import { loadCluster } from '../kube/credentials.ts'
import { Candidate } from '../kube/leader.ts'
import { openAuthorizers } from '../oidc/open.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { openLog } from '../telemetry/log.ts'
import { onParentGone, reportToParent } from '../telemetry/parent.ts'
import { serveMetrics } from './metrics-server.ts'
import { OperatorMetrics } from './metrics.ts'
import { Operator } from './operator.ts'
import { httpProbe } from './probe.ts'
import { httpMeters } from './usage/meter-client.ts'
import { operatorSettings } from './settings.ts'

const settings = readSettings(
  { name: 'carrel-operator', description: "Carrel's operator: opens, watches over and ends the pods of agent sessions." },
  operatorSettings.extend({
    kubeconfig: z.string().optional().describe('Kubeconfig file; without one, the service account of the pod.'),
    leaderElect: z
      .stringbool()
      .or(z.boolean())
      .default(true)
      .describe('Work without electing a leader: only where no other operator runs.'),
    metricsHost: z.string().default('0.0.0.0').describe('Address that metrics are served on.'),
    metricsPort: z.coerce
      .number()
      .int()
      .min(0)
      .max(65_535)
      .optional()
      .describe('Port that /metrics is served on, for who may get that path; 0 takes any free one; without it, none.'),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
  }),
)

onParentGone(() => process.exit(1))
const log = openLog({ name: 'operator', level: settings.logLevel })
const kubernetes = httpTransport(loadCluster({ kubeconfig: settings.kubeconfig }))
const probe = httpProbe()
const meters = httpMeters(settings)
const base = { clock: systemClock, random: systemRandom, log }
const oidc = openAuthorizers(base, settings)
const opened = await openActivity(settings, base, () => activityOverTransport(kubernetes))
const candidate = new Candidate({ env: base, transport: kubernetes, namespace: SYSTEM_NAMESPACE, name: 'operator', identity: hostname() })
const registry = new Metrics()
registry.ofThisProcess()
const isLeader = (): boolean => !settings.leaderElect || candidate.isLeader()
const operator = new Operator(
  {
    ...base,
    kubernetes: settings.leaderElect ? fencedTransport(kubernetes, candidate) : kubernetes,
    activity: opened.activity,
    probe,
    meters,
    providers: { check: (customJWT) => oidc.authorizers.checkProvider(customJWT) },
  },
  settings,
  new OperatorMetrics(registry, isLeader),
)
const { metricsHost: host, metricsPort: port } = settings
const metrics =
  port === undefined
    ? undefined
    : await serveMetrics({ host, port, kubernetes, log, exposition: () => registry.exposition(), isReady: () => operator.ready })
if (metrics) log.info({ port: metrics.port }, 'metrics are served')

const end = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort())
if (settings.leaderElect) {
  await operator.follow(end.signal)
  reportToParent({ ready: true })
  const outcome = await candidate.lead(end.signal, (leading) => operator.work(leading))
  // Nothing of a lost term may go on; the supervisor starts the process anew, as a candidate.
  if (outcome === 'lost') process.exit(1)
} else await operator.run(end.signal)
opened.end()
await Promise.all([kubernetes.close(), probe.close(), meters.close(), oidc.close(), metrics?.close()])
