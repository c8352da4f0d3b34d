/**
 * A cluster with Carrel on it, installed by its Helm chart as the README says: two operators, two gateways, Redis. Whoever runs
 * the test files opens one for all of them (`CARREL_TEST_BED` names the file that describes it); a file that runs by itself opens
 * its own.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { systemRandom } from '../../src/env/system.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { LOCAL_USER, localAccessKey } from '../../src/local/start/access-key.ts'
import { ensureLocalUser, tokenOf } from '../../src/local/start/roles.ts'
import { Cluster, type ClusterOptions } from '../cluster/cluster.ts'
import { imageArchive } from '../cluster/images/archives.ts'
import { SHARED_WITH_AGENTS } from './shared-folder.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const IMAGES = ['carrel', 'redis', 'probe', 'python-probe', 'toolkit-agent']
const CHART = join(ROOT, 'deploy', 'helm', 'carrel')
const TOKEN_SECONDS = 24 * 3_600

/** What differs from the chart's own defaults: the node has no Kata, and nothing keeps its disk. */
const VALUES = {
  runtimeClasses: { default: 'carrel-runc', allowed: ['carrel-runc'], create: { runc: true } },
  sessionNamespaces: [{ name: 'default', create: false, podSecurity: 'restricted' }],
  gateway: { service: { type: 'NodePort' }, autoscaling: { enabled: false } },
  redis: { persistence: { enabled: false } },
}

/** Ended sessions are removed after this long: soon enough for a test to see it, late enough for one to read how they ended. */
const TESTS_TTL_SECONDS = 8

export interface BedOptions extends Pick<ClusterOptions, 'nodeMonitorGraceSeconds'> {
  sessionTtlSeconds?: number
}

/** Enough for another process to use it. */
export interface Bed {
  /** With `env`, and the kubeconfigs of parts. */
  home: string
  auditFile: string
  /** Path below each cgroup hierarchy under which the node's pods are. */
  cgroupRoot: string
}

let own: Promise<{ bed: Bed; cluster: Cluster }> | undefined
after(async () => (await own)?.cluster.stop()) // of the file: inside a test it would be the test's

export async function bed(): Promise<Bed> {
  const described = process.env['CARREL_TEST_BED']
  const failed = process.env['CARREL_TEST_BED_FAILED']
  if (failed) throw new Error(failed)
  if (described) return JSON.parse(readFileSync(described, 'utf8')) as Bed
  own ??= openBed()
  return (await own).bed
}

/** Installs as a user does; `stop` of its cluster takes all away. */
export async function openBed({ sessionTtlSeconds = TESTS_TTL_SECONDS, ...options }: BedOptions = {}): Promise<{
  bed: Bed
  cluster: Cluster
}> {
  mkdirSync(SHARED_WITH_AGENTS, { recursive: true })
  const cluster = await Cluster.start({ ...options, images: [imageArchive(...IMAGES)], shared: [SHARED_WITH_AGENTS] })
  try {
    const home = mkdtempSync(join(tmpdir(), 'carrel-bed-'))
    process.once('exit', () => rmSync(home, { recursive: true, force: true }))
    await restrict(cluster)
    installChart(home, cluster.kubeconfig, sessionTtlSeconds)
    await writeEnvironment(home, cluster)
    return { cluster, bed: { home, auditFile: cluster.auditFile, cgroupRoot: cluster.cgroupRoot } }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** Pod Security of the namespace of sessions, which is there already: as the chart sets it on those that it makes. */
async function restrict(cluster: Cluster): Promise<void> {
  const transport = httpTransport(cluster.access)
  const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } }
  const contentType = 'application/merge-patch+json'
  const { status } = await transport.request({ method: 'PATCH', path: '/api/v1/namespaces/default', contentType, body })
  await transport.close()
  if (status !== 200) throw new Error(`the namespace was not labelled: ${status}`)
}

function installChart(home: string, kubeconfig: string, sessionTtlSeconds: number): void {
  const values = join(home, 'values.json')
  writeFileSync(values, JSON.stringify({ ...VALUES, operator: { sessionTtlSeconds } }))
  const flags = ['--namespace', 'carrel-system', '--create-namespace', '--values', values, '--wait', '--timeout', '3m']
  execFileSync(process.env['CARREL_TEST_HELM']!, ['install', 'carrel', CHART, ...flags], {
    env: { ...process.env, KUBECONFIG: kubeconfig, HOME: home },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** What `npm start` gives its user, for the user of this installation: a key, its rights, and where everything is. */
async function writeEnvironment(home: string, cluster: Cluster): Promise<void> {
  const transport = httpTransport(cluster.access)
  const admin = new KubeClient(transport)
  const key = await localAccessKey(admin, systemRandom)
  await ensureLocalUser(admin, LOCAL_USER)
  for (const part of ['operator', 'gateway'] as const) {
    const token = await tokenOf(admin, part, TOKEN_SECONDS)
    const access = { server: cluster.access.server, ca: cluster.ca, token, user: part, namespace: 'default' }
    writeFileSync(join(home, `${part}.kubeconfig`), kubeconfigFor(access), { mode: 0o600 })
  }
  copyFileSync(cluster.kubeletKubeconfig, join(home, 'kubelet.kubeconfig'))
  const { body } = await transport.request({ method: 'GET', path: '/api/v1/namespaces/carrel-system/services/carrel-gateway' })
  const { ports } = (body as { spec: { ports: { nodePort: number }[] } }).spec
  const url = `http://${cluster.nodeAddress}:${ports[0]!.nodePort}`
  const exported = {
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: key.accessKeyId,
    AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
    AWS_ENDPOINT_URL_BEDROCK_AGENTCORE: url,
    CARREL_GATEWAY_URL: url,
    KUBECONFIG: cluster.kubeconfig,
    NO_PROXY: cluster.nodeAddress,
    no_proxy: cluster.nodeAddress,
  }
  const left = ['AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_DEFAULT_PROFILE', 'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS']
  const lines = [
    ...Object.entries(exported).map(([name, value]) => `export ${name}='${value}'`),
    ...left.map((name) => `unset ${name}`),
    '',
  ]
  writeFileSync(join(home, 'env'), lines.join('\n'), { mode: 0o600 })
  await transport.close()
}
