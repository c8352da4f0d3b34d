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
import { openLog } from '../telemetry/log.ts'
import { onParentGone, reportToParent } from '../telemetry/parent.ts'
import { Operator } from './operator.ts'
import { httpProbe } from './probe.ts'
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
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
  }),
)

onParentGone(() => process.exit(1))
const log = openLog({ name: 'operator', level: settings.logLevel })
const kubernetes = httpTransport(loadCluster({ kubeconfig: settings.kubeconfig }))
const probe = httpProbe()
const base = { clock: systemClock, random: systemRandom, log }
const opened = await openActivity(settings, base, () => activityOverTransport(kubernetes))
const candidate = new Candidate({ env: base, transport: kubernetes, namespace: SYSTEM_NAMESPACE, name: 'operator', identity: hostname() })
const operator = new Operator(
  {
    ...base,
    kubernetes: settings.leaderElect ? fencedTransport(kubernetes, candidate) : kubernetes,
    activity: opened.activity,
    probe,
  },
  settings,
)

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
await Promise.all([kubernetes.close(), probe.close()])
