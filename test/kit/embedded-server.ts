import { systemClock, systemRandom } from '../../src/env/system.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { Identity, PodLogs } from '../../src/local/api/call.ts'
import { loopbackCertificate } from '../../src/local/api/http/certificate.ts'
import { serveApi } from '../../src/local/api/http/server.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** The embedded API in memory behind its HTTPS server, as users reach it; the token is of the identity. */
export async function embeddedServer(
  token: string,
  identity: Identity,
  logs: PodLogs = { async *read() {} },
): Promise<{ api: EmbeddedApi; url: string; ca: string; close(): Promise<void> }> {
  const env = { clock: systemClock, random: systemRandom, log: quiet }
  const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs })
  await api.start()
  const certificate = loopbackCertificate(Date.now())
  const server = await serveApi(env, {
    api,
    kinds: api.kinds,
    host: '127.0.0.1',
    port: 0,
    certificate,
    tokens: new Map([[token, identity]]),
    audit: { write() {} },
    notReady: () => undefined,
  })
  return {
    api,
    url: server.url,
    ca: certificate.cert,
    async close() {
      await server.close()
      api.close()
    },
  }
}
