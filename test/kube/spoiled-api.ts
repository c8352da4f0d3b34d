import type { TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { AuditEvent } from '../../src/local/api/audit/audit.ts'
import { faulty, Faults } from '../../src/local/api/faults.ts'
import { loopbackCertificate } from '../../src/local/api/http/certificate.ts'
import { serveApi } from '../../src/local/api/http/server.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { ENV } from './quiet-env.ts'

const TOKEN = 'admin-token-of-the-test'

export interface SpoiledApi {
  api: EmbeddedApi
  faults: Faults
  /** Over HTTPS, through the faults. */
  transport: Transport
  /** Straight into the API, past them. */
  admin: KubeClient
  audit: AuditEvent[]
}

/** The embedded API behind its real HTTPS server, with fault knobs between the two. */
export async function spoiledApi(t: TestContext): Promise<SpoiledApi> {
  const api = new EmbeddedApi({ ...ENV, persistence: new MemoryPersistence(), logs: { async *read() {} } })
  await api.start()
  const faults = new Faults()
  const audit: AuditEvent[] = []
  const certificate = loopbackCertificate(Date.now())
  const server = await serveApi(ENV, {
    api: faulty(ENV, api, faults),
    kinds: api.kinds,
    host: '127.0.0.1',
    port: 0,
    certificate,
    tokens: new Map([[TOKEN, IDENTITIES.admin]]),
    audit: { write: (event) => void audit.push(event) },
    notReady: () => undefined,
  })
  const transport = httpTransport({ server: server.url, ca: certificate.cert, token: () => TOKEN })
  t.after(async () => {
    faults.clear()
    await transport.close()
    await server.close()
    api.close()
  })
  return { api, faults, transport, admin: new KubeClient(inProcessTransport(api, IDENTITIES.admin)), audit }
}
