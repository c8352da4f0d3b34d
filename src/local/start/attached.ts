/** Adapter: joins a control plane of this machine in place of the embedded API: its pods are processes here. */
import { MemoryActivity } from '../../activity/memory.ts'
import { sleep } from '../../env/clock.ts'
import type { Env } from '../../env/env.ts'
import { KubeClient } from '../../kube/client.ts'
import { loadCluster } from '../../kube/credentials.ts'
import { isNotFound } from '../../kube/errors.ts'
import { httpTransport } from '../../kube/http-transport.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Resource } from '../../kube/resource.ts'
import type { Transport } from '../../kube/transport.ts'
import { loopbackCertificate } from '../api/http/certificate.ts'
import { kubeconfigFor } from '../api/http/kubeconfig.ts'
import { GRANTS } from '../api/identities.ts'
import { definitionsServed } from '../api/served-kinds.ts'
import { kubeconfigIn, writePrivate, type Home } from '../home.ts'
import { ProcessKubelet } from '../kubelet/kubelet.ts'
import { serveLogs } from '../kubelet/machine/log-server.ts'
import { NODES } from '../kubelet/node.ts'
import { MachineHost } from '../kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../kubelet/machine/pod-logs.ts'
import { LOCAL_USER } from './access-key.ts'
import { ensure, ensureIdentities, ensureLocalUser, tokenOf } from './roles.ts'
import { startMeter } from './meter.ts'
import type { RunningApi } from './running-api.ts'
import type { LocalSettings } from './settings.ts'
import { ensureStatusPolicy } from './status-policy.ts'

const NODE_NAME = 'laptop'
const TOKEN_SECONDS = 24 * 3600
const RENEW_MS = 12 * 3600 * 1000
const RETRY_RENEWAL_MS = 60_000

const CONFIG_MAPS: Resource<KubeObject & { data?: Record<string, string> }> = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
}
const DEFINITIONS: Resource<KubeObject & Record<string, unknown>> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
}

/**
 * Installs the kinds, namespace, service accounts and roles, and joins as a node. Throws with what to do when the API
 * server is not one of this machine or has nodes of its own: agents run here without isolation.
 */
export async function attachToApi(env: Env, home: Home, settings: LocalSettings & { kubeconfig: string }): Promise<RunningApi> {
  const cluster = loadCluster({ kubeconfig: settings.kubeconfig })
  refuseForeign(cluster.server, settings.kubeconfig)
  const adminTransport = httpTransport(cluster)
  const admin = new KubeClient(adminTransport)
  await refuseOtherNodes(admin, cluster.server)
  for (const definition of definitionsServed()) await ensure(admin, DEFINITIONS, definition as KubeObject & Record<string, unknown>)
  await ensureIdentities(admin)
  await ensureLocalUser(admin, LOCAL_USER)
  await ensureStatusPolicy(admin)

  const ending = new AbortController()
  const tokens = { file: (part: string): string => `${home.root}/${part}.token` }
  for (const part of parts()) {
    writePrivate(tokens.file(part), await tokenOf(admin, part, TOKEN_SECONDS))
    const access = { server: cluster.server, ca: cluster.ca ?? '', token: { file: tokens.file(part) }, user: part, namespace: 'default' }
    writePrivate(kubeconfigIn(home, part), kubeconfigFor(access))
  }
  const renewing = renewTokens()
  const transports = new Map<string, Transport & { close(): Promise<void> }>([['admin', adminTransport]])
  const transportOf: RunningApi['transportOf'] = (identity) => {
    const known = transports.get(identity) ?? httpTransport(loadCluster({ kubeconfig: kubeconfigIn(home, identity) }))
    transports.set(identity, known)
    return known
  }

  const logs = new PodLogFiles(env, home.root)
  const host = new MachineHost(env, { home: home.root, logs, shell: process.env })
  const meter = await startMeter(env, home, host)
  const logServer = await serveLogs({
    certificate: loopbackCertificate(env.clock.now()),
    clientCa: await clientCaOf(admin),
    logs,
    podNamed: (namespace, name) => kubelet.podNamed(namespace, name),
  })
  const kubelet: ProcessKubelet = new ProcessKubelet(
    { ...env, kubernetes: transportOf('kubelet'), host: meter.host },
    {
      nodeName: NODE_NAME,
      region: settings.region,
      workingDirectory: process.cwd(),
      logPort: logServer.port,
      onlySessions: true,
    },
  )
  const running = Promise.all([kubelet.run(ending.signal), meter.run(ending.signal)])
  const activity = new MemoryActivity(env.clock)

  async function renewTokens(): Promise<void> {
    let delayMs = RENEW_MS
    for (;;) {
      await sleep(env.clock, delayMs, ending.signal)
      if (ending.signal.aborted) return
      try {
        for (const part of parts()) writePrivate(tokens.file(part), await tokenOf(admin, part, TOKEN_SECONDS))
        delayMs = RENEW_MS
      } catch (error) {
        env.log.warn({ err: error }, 'service account tokens could not be renewed; trying again')
        delayMs = RETRY_RENEWAL_MS
      }
    }
  }

  return {
    url: cluster.server,
    kubeconfig: settings.kubeconfig,
    audit: undefined,
    admin,
    transportOf,
    kubeconfigOf: (identity) => (identity === 'admin' ? settings.kubeconfig : kubeconfigIn(home, identity)),
    activityFor: () => activity,
    meter: meter.access,
    async stop() {
      ending.abort()
      await Promise.all([running, renewing])
      await Promise.all([logServer.close(), meter.close()])
      await Promise.all([...transports.values()].map((transport) => transport.close()))
    },
  }
}

function parts(): (keyof typeof GRANTS)[] {
  return Object.keys(GRANTS) as (keyof typeof GRANTS)[]
}

function refuseForeign(server: string, kubeconfig: string): void {
  const { hostname } = new URL(server)
  if (hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)) return
  throw new Error(
    `${kubeconfig} names ${server}, which is not on this machine. npm start runs agents as processes of this machine, without isolation; for a cluster, install the chart`,
  )
}

async function refuseOtherNodes(admin: KubeClient, server: string): Promise<void> {
  const { items } = await admin.list(NODES)
  const others = items.map(({ metadata }) => metadata.name).filter((name) => name !== NODE_NAME)
  if (others.length === 0) return
  throw new Error(
    `${server} has nodes of its own (${others.slice(0, 3).join(', ')}), which would take the pods of sessions. Use a control plane without nodes, as npm run control-plane gives, or install the chart on that cluster`,
  )
}

/** Who signs the API server's client certificate: it publishes that for servers like a kubelet. */
async function clientCaOf(admin: KubeClient): Promise<string> {
  const name = 'extension-apiserver-authentication'
  try {
    const { data = {} } = await admin.get(CONFIG_MAPS, 'kube-system', name)
    if (data['client-ca-file']) return data['client-ca-file']
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
  throw new Error(
    `the API server publishes no client CA (ConfigMap kube-system/${name}), so that it could not be told from others when it reads logs: start it with --client-ca-file`,
  )
}
