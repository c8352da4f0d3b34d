/**
 * Adapter: the embedded API as a process of its own, in memory and without a kubelet: the pods of a bench only exist.
 * Its one caller may do everything, as the seeder plays operator, gateway and kubelet at once.
 */
import { writeFileSync } from 'node:fs'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { Identity } from '../../src/local/api/call.ts'
import { loopbackCertificate } from '../../src/local/api/http/certificate.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { serveApi } from '../../src/local/api/http/server.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { serveBench, tellBench } from '../runner/child.ts'
import { quiet } from './quiet.ts'

const [kubeconfig] = process.argv.slice(2)
const env = { clock: systemClock, random: systemRandom, log: quiet }
const everything: Identity = { user: 'bench', groups: ['system:masters'], allows: () => true }

serveBench(async () => {})
const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: { async *read() {} } })
await api.start()
const certificate = loopbackCertificate(Date.now())
const token = Buffer.from(env.random.bytes(24)).toString('base64url')
const server = await serveApi(env, {
  api,
  kinds: api.kinds,
  host: '127.0.0.1',
  port: 0,
  certificate,
  tokens: new Map([[token, everything]]),
  audit: { write: () => {} },
  notReady: () => undefined,
})
const access = { server: server.url, ca: certificate.cert, token, user: 'bench', namespace: 'default' }
writeFileSync(kubeconfig!, kubeconfigFor(access), { mode: 0o600 })
tellBench({ kind: 'ready' })
