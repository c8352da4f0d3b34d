import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, test, type TestContext } from 'node:test'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { eventually } from '../kit/eventually.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { Cluster } from './cluster.ts'
import { scriptPod, type PodStatus } from './pods.ts'

const WITHIN_MS = 60_000
const DEFAULT = '/api/v1/namespaces/default'
const GREETER = `require('http').createServer((request, response) => response.end('hello from a pod')).listen(8080); console.log('serving')`

let shared: Promise<Cluster> | undefined
after(async () => (await shared)?.stop())

function canRun(t: TestContext): boolean {
  return needsRoot(t) && needs(t, 'CARREL_TEST_CONTROL_PLANE') !== undefined && needs(t, 'CARREL_TEST_NODE') !== undefined
}

async function clusterOf(t: TestContext): Promise<Cluster | undefined> {
  return canRun(t) ? (shared ??= Cluster.start({ nodeMonitorGraceSeconds: 6, volumes: 1 })) : undefined
}

test('of a cluster whose process was killed nothing runs on, and the next start removes what is left', async (t) => {
  if (!canRun(t)) return
  const script = `const { Cluster } = await import(${JSON.stringify(join(import.meta.dirname, 'cluster.ts'))})
    console.log((await Cluster.start()).directory); setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const directory = String(said).trim()
  child.kill('SIGKILL')
  const stays = (trace: string): boolean => trace === directory || trace.startsWith('cgroup')
  await eventually(() => tracesOf(directory).every(stays), { withinMs: WITHIN_MS, because: `what runs of ${directory} is gone` })
  assert.ok(existsSync(directory))
  const next = await clusterOf(t)
  if (next!.directory !== directory) assert.deepEqual(tracesOf(directory), [])
  assert.deepEqual(await namesOf(next!, `${DEFAULT}/pods`), [])
})

describe('a cluster', { concurrency: true }, () => {
  void test('a pod gets an address that this machine reaches, and its log comes through the API server', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    await create(cluster, 'pods', scriptPod('greeter', GREETER))
    const { podIP } = await statusOf(cluster, 'greeter', (status) => status.podIP !== undefined)
    assert.match(podIP!, /^198\.19\./)
    assert.equal(await textOf(`http://${podIP}:8080/`), 'hello from a pod')
    assert.equal(await call(cluster, 'GET', `${DEFAULT}/pods/greeter/log`), 'serving\n')
  })

  void test('a Service is reached by its name in a pod, by its address and the port of the node from here', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    await create(cluster, 'pods', scriptPod('served', GREETER))
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'served' } }
    const made = (await create(cluster, 'services', {
      ...service,
      spec: { type: 'NodePort', selector: { app: 'served' }, ports: [{ port: 80, targetPort: 8080 }] },
    })) as { spec: { clusterIP: string; ports: { nodePort: number }[] } }
    assert.equal(await textOf(`http://${made.spec.clusterIP}/`), 'hello from a pod')
    assert.equal(await textOf(`http://${cluster.nodeAddress}:${made.spec.ports[0]!.nodePort}/`), 'hello from a pod')
    const ask = `const ask = (left) => fetch('http://served.default.svc.cluster.local/').then(async (answer) => console.log(await answer.text()),
    (error) => left > 0 ? setTimeout(ask, 100, left - 1) : console.log(String(error.cause ?? error))); ask(100)`
    await create(cluster, 'pods', scriptPod('asker', ask))
    await statusOf(cluster, 'asker', ({ phase }) => phase === 'Succeeded')
    assert.equal(await call(cluster, 'GET', `${DEFAULT}/pods/asker/log`), 'hello from a pod\n')
  })

  void test('a pod talks to the API server by its own token and name, and trusts its certificate', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    const ask = `const { readFileSync } = require('fs'); const at = '/var/run/secrets/kubernetes.io/serviceaccount/'
    const options = { ca: readFileSync(at + 'ca.crt'), headers: { authorization: 'Bearer ' + readFileSync(at + 'token') } }
    require('https').get('https://kubernetes.default.svc/version', options, (answer) => { console.log(answer.statusCode); answer.resume() })`
    await create(cluster, 'pods', scriptPod('client', ask))
    await statusOf(cluster, 'client', ({ phase }) => phase === 'Succeeded')
    assert.equal(await call(cluster, 'GET', `${DEFAULT}/pods/client/log`), '200\n')
  })

  void test('kubectl exec runs a command in a pod', async (t) => {
    const cluster = await clusterOf(t)
    const kubectl = needs(t, 'CARREL_TEST_KUBECTL')
    if (!cluster || !kubectl) return
    await create(cluster, 'pods', scriptPod('commanded', GREETER))
    await statusOf(cluster, 'commanded', ({ phase }) => phase === 'Running')
    const command = ['--kubeconfig', cluster.kubeconfig, 'exec', 'commanded', '--', process.execPath, '-p', '6 * 7']
    assert.equal(execFileSync(kubectl, command, { encoding: 'utf8', env: { NO_PROXY: '*', HOME: cluster.directory } }), '42\n')
  })

  void test('a claim gets the volume that waits, and any user writes to it', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
    await create(cluster, 'persistentvolumeclaims', { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'kept' }, spec })
    const write = `require('fs').writeFileSync('/kept/file', 'from a pod')`
    const pod = scriptPod('writer', write)
    pod.spec.volumes.push({ name: 'kept', persistentVolumeClaim: { claimName: 'kept' } })
    pod.spec.containers[0]!.volumeMounts.push({ name: 'kept', mountPath: '/kept' })
    await create(cluster, 'pods', { ...pod, spec: { ...pod.spec, securityContext: { runAsUser: 1000 } } })
    await statusOf(cluster, 'writer', ({ phase }) => phase === 'Succeeded')
    assert.equal(readFileSync(join(cluster.directory, 'volume-1', 'file'), 'utf8'), 'from a pod')
  })

  void test('an image comes from the registry that is given for its name, or its error does', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    const registry = createServer((_, response) => response.writeHead(404).end()).listen(0, cluster.hostAddress)
    t.after(() => registry.close())
    await once(registry, 'listening')
    cluster.useRegistry('registry.test', `http://${cluster.hostAddress}:${(registry.address() as AddressInfo).port}`)
    const container = { name: 'agent', image: 'registry.test/agents/none:1' }
    await create(cluster, 'pods', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'unknown' }, spec: { containers: [container] } })
    const { containerStatuses } = await statusOf(
      cluster,
      'unknown',
      (status) => status.containerStatuses?.[0]?.state.waiting?.message !== undefined,
    )
    assert.match(containerStatuses![0]!.state.waiting!.message!, /registry.test\/agents\/none:1.*not found/)
  })

  void test('a pod that takes more memory than its limit is killed', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    await create(cluster, 'pods', scriptPod('hungry', 'const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1))', { memory: '96Mi' }))
    const status = await statusOf(cluster, 'hungry', ({ phase }) => phase === 'Failed')
    assert.equal(status.containerStatuses![0]!.state.terminated!.reason, 'OOMKilled')
  })

  void test('a pod that writes more than its limit is evicted', async (t) => {
    const cluster = await clusterOf(t)
    if (!cluster) return
    const fill = `require('fs').writeFileSync('/scratch/file', Buffer.alloc(6e7, 1)); setInterval(() => {}, 1e6)`
    await create(cluster, 'pods', scriptPod('wide', fill, { 'ephemeral-storage': '16Mi' }))
    const status = await statusOf(cluster, 'wide', ({ phase }) => phase === 'Failed')
    assert.equal(status.reason, 'Evicted')
    assert.match(status.message!, /ephemeral local storage usage exceeds/)
  })
})

test('with the kubelet stopped the node is not ready and its pods serve on; started again it is', async (t) => {
  const cluster = await clusterOf(t)
  if (!cluster) return
  await create(cluster, 'pods', scriptPod('steady', GREETER))
  const { podIP } = await statusOf(cluster, 'steady', (status) => status.podIP !== undefined)
  assert.equal(await textOf(`http://${podIP}:8080/`), 'hello from a pod')
  await cluster.kubelet.stop()
  await untilNodeIs(cluster, 'Unknown')
  assert.equal(await textOf(`http://${podIP}:8080/`), 'hello from a pod')
  cluster.kubelet.start()
  await untilNodeIs(cluster, 'True')
})

test('nothing is left of a cluster that was stopped', async (t) => {
  const cluster = await clusterOf(t)
  if (!cluster) return
  const { directory } = cluster
  assert.notDeepEqual(tracesOf(directory), [])
  await cluster.stop()
  assert.deepEqual(tracesOf(directory), [])
})

/** All that a cluster has on this machine: its folder, cgroups, network link, routes, mounts and processes. */
function tracesOf(directory: string): string[] {
  const name = directory.split('/').at(-1)!
  const number = name.split('-').at(-1)!
  const link = `carrel-${number}`
  const hierarchies = readdirSync('/sys/fs/cgroup').map((hierarchy) => join('/sys/fs/cgroup', hierarchy, name))
  const routes = readFileSync('/proc/net/route', 'utf8').split('\n')
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return [
    ...[directory, `/sys/class/net/${link}`].filter((path) => existsSync(path)),
    ...hierarchies.filter((path) => existsSync(path)).map((path) => `cgroup ${path}`),
    ...routes.filter((route) => route.startsWith(`${link}\t`)).map((route) => `route ${route}`),
    ...mounts.filter((mount) => mount.includes(`${directory}/`)).map((mount) => `mount ${mount}`),
    ...processesOf(directory, name).map((pid) => `process ${pid}`),
  ]
}

function processesOf(directory: string, name: string): string[] {
  const own = String(process.pid)
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === own) return false
    try {
      const says = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/cgroup`, 'utf8')
      return says.includes(`${directory}/`) || says.includes(`/${name}/`) || readlinkSync(`/proc/${pid}/cwd`).startsWith(`${directory}/`)
    } catch {
      return false
    }
  })
}

async function create(cluster: Cluster, plural: string, body: object): Promise<unknown> {
  return call(cluster, 'POST', `${DEFAULT}/${plural}`, body)
}

async function namesOf(cluster: Cluster, path: string): Promise<string[]> {
  const { items } = (await call(cluster, 'GET', path)) as { items: { metadata: { name: string } }[] }
  return items.map(({ metadata }) => metadata.name)
}

async function call(cluster: Cluster, method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
  const transport = httpTransport(cluster.access)
  try {
    const answer = await transport.request({ method, path, ...(body ? { body } : {}) })
    assert.ok(answer.status < 300, JSON.stringify(answer.body))
    return answer.body
  } finally {
    await transport.close()
  }
}

async function statusOf(cluster: Cluster, pod: string, isSo: (status: PodStatus) => boolean): Promise<PodStatus> {
  let status: PodStatus = {}
  await eventually(
    async () => {
      status = ((await call(cluster, 'GET', `${DEFAULT}/pods/${pod}`)) as { status: PodStatus }).status
      return isSo(status)
    },
    { withinMs: WITHIN_MS, everyMs: 100, because: `pod ${pod} gets there` },
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(status)}`)
  })
  return status
}

async function untilNodeIs(cluster: Cluster, status: 'True' | 'Unknown'): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const node = (await call(cluster, 'GET', `/api/v1/nodes/${cluster.nodeName}`)) as { status: PodStatus }
    return node.status.conditions!.some((condition) => condition.type === 'Ready' && condition.status === status)
  }
  await eventually(isSo, { withinMs: WITHIN_MS, everyMs: 200, because: `the node's Ready is ${status}` })
}

/** What is served there, once something is. */
async function textOf(url: string): Promise<string> {
  return eventually(async () => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text(), {
    withinMs: WITHIN_MS,
    because: `${url} answers`,
  })
}
