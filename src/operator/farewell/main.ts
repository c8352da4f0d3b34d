/** Adapter: what the chart runs before it is uninstalled, as a process of its own. Ends with 0 whatever it could not do. */
import { z } from 'zod'
import { readSettings } from '../../env/settings.ts'
import { systemClock, systemRandom } from '../../env/system.ts'
import { boundedTransport } from '../../kube/bounded-transport.ts'
import { loadCluster } from '../../kube/credentials.ts'
import { httpTransport } from '../../kube/http-transport.ts'
import { openLog } from '../../telemetry/log.ts'
import { farewell } from './farewell.ts'

const REQUEST_TIMEOUT_MS = 3_000

const settings = readSettings(
  { name: 'carrel-farewell', description: 'Ends every session of an installation that goes.' },
  z.strictObject({
    seconds: z.coerce.number().min(0).max(45).default(30).describe('How long the operator gets to end them; then their pods are killed.'),
    kubeconfig: z.string().optional().describe('Kubeconfig file; without one, the service account of the pod.'),
  }),
)
const base = { clock: systemClock, random: systemRandom, log: openLog({ name: 'farewell', level: 'info' }) }
const transport = httpTransport(loadCluster({ kubeconfig: settings.kubeconfig }))
const done = await farewell({ ...base, kubernetes: boundedTransport(base, transport, REQUEST_TIMEOUT_MS) }, settings.seconds)
base.log.info(done, 'farewell')
await transport.close()
