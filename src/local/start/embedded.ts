/** Adapter: the embedded API as a running server, with its kubelet and its files. */
import { existsSync, readFileSync } from 'node:fs'
import { MemoryActivity } from '../../activity/memory.ts'
import { ACTIVITY_PATH, activityOverTransport, serveActivity } from '../../activity/over-transport.ts'
import type { Env } from '../../env/env.ts'
import { KubeClient } from '../../kube/client.ts'
import type { Transport } from '../../kube/transport.ts'
import { EmbeddedApi } from '../api/api.ts'
import type { ApiCall, Identity } from '../api/call.ts'
import { audited } from '../api/audit/audit.ts'
import { auditFile } from '../api/audit/file.ts'
import { filePersistence } from '../api/file-persistence.ts'
import { loopbackCertificate, type Certificate } from '../api/http/certificate.ts'
import { kubeconfigFor } from '../api/http/kubeconfig.ts'
import { serveApi } from '../api/http/server.ts'
import { IDENTITIES } from '../api/identities.ts'
import { inProcessTransport } from '../api/in-process.ts'
import { forbidden } from '../api/statuses.ts'
import { kubeconfigIn, writePrivate, type Home } from '../home.ts'
import { ProcessKubelet } from '../kubelet/kubelet.ts'
import { MachineHost } from '../kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../kubelet/machine/pod-logs.ts'
import { startMeter } from './meter.ts'
import type { IdentityName, RunningApi } from './running-api.ts'
import type { LocalSettings } from './settings.ts'

const NODE_NAME = 'laptop'

/** The API, its server and its kubelet in this process. `isReady` answers for `/readyz`. */
export async function startEmbeddedApi(env: Env, home: Home, settings: LocalSettings, isReady: () => boolean): Promise<RunningApi> {
  const logs = new PodLogFiles(env, home.root)
  const api = new EmbeddedApi({ ...env, persistence: filePersistence(home.state), logs })
  await api.start()
  mountActivity(api, env)
  const sink = auditFile(home.audit, env.log)
  const handler = audited(api, env, sink)
  const transportOf = (name: IdentityName): Transport => inProcessTransport(handler, IDENTITIES[name])

  const tokens = new Map<string, Identity>()
  const tokenOf: Record<string, string> = {}
  for (const [name, identity] of Object.entries(IDENTITIES)) {
    tokenOf[name] = Buffer.from(env.random.bytes(32)).toString('base64url')
    tokens.set(tokenOf[name], identity)
  }
  const certificate = certificateIn(home, env)
  const server = await serveApi(env, {
    api,
    kinds: api.kinds,
    host: '127.0.0.1',
    port: settings.apiPort,
    certificate,
    tokens,
    audit: sink,
    notReady: () => (isReady() ? undefined : 'operator and gateway are starting'),
  })
  for (const name of Object.keys(IDENTITIES)) {
    const access = { server: server.url, ca: certificate.cert, token: tokenOf[name]!, user: IDENTITIES[name as IdentityName].user }
    writePrivate(kubeconfigIn(home, name as IdentityName), kubeconfigFor({ ...access, namespace: 'default' }))
  }

  const ending = new AbortController()
  const host = new MachineHost(env, { home: home.root, logs, shell: process.env })
  const meter = await startMeter(env, home, host)
  const kubelet = new ProcessKubelet(
    { ...env, kubernetes: transportOf('kubelet'), host: meter.host },
    { nodeName: NODE_NAME, region: settings.region, workingDirectory: process.cwd() },
  )
  const running = Promise.all([kubelet.run(ending.signal), meter.run(ending.signal)])
  return {
    url: server.url,
    kubeconfig: home.kubeconfig,
    audit: home.audit,
    admin: new KubeClient(transportOf('admin')),
    transportOf,
    kubeconfigOf: (identity) => kubeconfigIn(home, identity),
    activityFor: (identity) => activityOverTransport(transportOf(identity)),
    meter: meter.access,
    async stop() {
      ending.abort()
      await running
      await meter.close()
      api.close()
      await server.close()
      await sink.close()
    },
  }
}

/** The activity store of operator and gateway, in memory, behind the same identities (activity/over-transport.ts). */
function mountActivity(api: EmbeddedApi, env: Env): void {
  const activity = new MemoryActivity(env.clock)
  const allowed = new Set([IDENTITIES.operator.user, IDENTITIES.gateway.user])
  api.mount(ACTIVITY_PATH, async (call: ApiCall) => {
    if (!allowed.has(call.identity.user))
      throw forbidden(call.identity.user, 'use', { group: 'carrel.dev', plural: 'activity' }, undefined, undefined)
    return serveActivity(activity, call.path.slice(ACTIVITY_PATH.length + 1), call.body)
  })
}

/** Kept, so that a kubeconfig in use stays valid over a restart. */
function certificateIn(home: Home, env: Env): Certificate {
  const path = `${home.root}/api-certificate.json`
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Certificate
  const certificate = loopbackCertificate(env.clock.now())
  writePrivate(path, JSON.stringify(certificate))
  return certificate
}
