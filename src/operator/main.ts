/** Adapter: the operator as a process of its own. All its wiring. */
import { z } from 'zod'
import { activityOverTransport } from '../activity/over-transport.ts'
import { readSettings } from '../env/settings.ts'
import { systemClock, systemRandom } from '../env/system.ts'
import { httpTransport } from '../kube/http-transport.ts'
import { loadCluster } from '../kube/credentials.ts'
import { openLog } from '../telemetry/log.ts'
import { Operator } from './operator.ts'
import { httpProbe } from './probe.ts'
import { operatorSettings } from './settings.ts'

const settings = readSettings(
  { name: 'carrel-operator', description: "Carrel's operator: opens, watches over and ends the pods of agent sessions." },
  operatorSettings.extend({
    kubeconfig: z.string().optional().describe('Kubeconfig file; without one, the service account of the pod.'),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
  }),
)

const log = openLog({ name: 'operator', level: settings.logLevel })
const kubernetes = httpTransport(loadCluster({ kubeconfig: settings.kubeconfig }))
const probe = httpProbe()
const env = { clock: systemClock, random: systemRandom, log, kubernetes, activity: activityOverTransport(kubernetes), probe }

const end = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort())
await new Operator(env, settings).run(end.signal)
await Promise.all([kubernetes.close(), probe.close()])
