/** The pods on a real node, under runc: what their agents may do, and what they see. */
import assert from 'node:assert/strict'
import { after, describe, test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject, Pod, Secret } from '../../src/kube/objects.ts'
import { PODS, SECRETS, type Resource } from '../../src/kube/resource.ts'
import { METER_PORT, proofOfPod, proofRequest, sessionMeterKey } from '../../src/metering/access.ts'
import { meterSecretFor } from '../../src/operator/pod/meter-secret.ts'
import { Cluster } from '../cluster/cluster.ts'
import { imageArchive } from '../cluster/images/archives.ts'
import { eventually } from '../kit/eventually.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { METERED, SECRET, SESSION_UID, built, containerOf, session } from './built.ts'

const WITHIN_MS = 90_000
const NAMESPACES: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
const ACCOUNTS: Resource = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true }
const CLASSES: Resource = { group: 'node.k8s.io', version: 'v1', kind: 'RuntimeClass', plural: 'runtimeclasses', namespaced: false }
const RUNC = { ...METERED, defaultRuntimeClass: 'carrel-runc' }
const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** Answers with what it is and what it can do, in the image of the agent that expects root. */
const WITNESS = `
import http.server, json, os
def wrote(path):
    try:
        open(path, 'w').write('x'); return True
    except OSError as error:
        return error.strerror
def read(path):
    try:
        return open(path).read()
    except OSError as error:
        return error.strerror
class Witness(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = dict(line.split(':', 1) for line in open('/proc/self/status'))
        names = [name for name in os.listdir('/proc') if name.isdigit()]
        body = json.dumps({
            'ids': [os.getuid(), os.getgid(), sorted(os.getgroups())], 'processes': len(names), 'environment': dict(os.environ),
            'capabilities': status['CapEff'].strip(), 'noNewPrivileges': status['NoNewPrivs'].strip(), 'seccomp': status['Seccomp'].strip(),
            'writes': {path: wrote(path) for path in ['/tmp/a', '/scratch/a', '/keys/api-key']},
            'reads': {path: read(path) for path in ['/keys/api-key', '${TOKEN}']},
        }).encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(('0.0.0.0', 8080), Witness).serve_forever()
`

interface Testimony {
  ids: [number, number, number[]]
  processes: number
  environment: Record<string, string>
  capabilities: string
  noNewPrivileges: string
  seccomp: string
  writes: Record<string, true | string>
  reads: Record<string, string>
}

interface Bed {
  cluster: Cluster
  client: KubeClient
  close(): Promise<void>
}

let opened: Promise<Bed> | undefined
after(async () => {
  const bed = await opened
  await bed?.close()
  await bed?.cluster.stop()
})

async function bedOf(t: TestContext): Promise<Bed | undefined> {
  if (!needsRoot(t) || !needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_NODE')) return undefined
  return (opened ??= open())
}

async function open(): Promise<Bed> {
  const cluster = await Cluster.start({ images: ['carrel', 'toolkit-agent', 'root-agent'].map((name) => imageArchive(name)) })
  const transport = httpTransport(cluster.access)
  const client = new KubeClient(transport)
  await client.create(CLASSES, {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'carrel-runc' },
    handler: 'runc',
  } as KubeObject)
  for (const level of ['restricted', 'baseline']) {
    const metadata = { name: level, labels: { 'pod-security.kubernetes.io/enforce': level } }
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata })
    await eventually(() => client.find(ACCOUNTS, level, 'default'), { withinMs: WITHIN_MS, because: `${level} has its account` })
    await client.create(SECRETS, meterSecretFor(session(level), SECRET))
    const keys = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: level },
      stringData: { 'api-key': 'of the user' },
    }
    await client.create(SECRETS, keys as Secret)
  }
  return { cluster, client, close: () => transport.close() }
}

const imageOf = (name: string): string => `docker.io/library/carrel-test-${name}:latest`
const container = (name: string, more: object = {}): object => ({
  artifact: { container: { image: imageOf(name), imagePullPolicy: 'Never', ...more } },
})
const witness = container('root-agent', { command: ['python', '-c', WITNESS] })

/** Runs until the test ends; resolves when both containers do. */
async function running(t: TestContext, { client }: Bed, name: string, spec: object, namespace = 'restricted'): Promise<Pod> {
  const pod = built(spec, RUNC, namespace)
  // Its session is no object here: nobody is to collect it for that.
  delete pod.metadata.ownerReferences
  const { metadata } = await client.create(PODS, { ...pod, metadata: { ...pod.metadata, name } })
  t.after(() => client.delete(PODS, namespace, name, { uid: metadata.uid!, gracePeriodSeconds: 0 }))
  return eventually(
    async () => {
      const seen = await client.get(PODS, namespace, name)
      const { podIP, containerStatuses = [] } = seen.status ?? {}
      if (podIP && containerStatuses.length === 2 && containerStatuses.every(({ state }) => state?.running)) return seen
      throw new Error(JSON.stringify(seen.status))
    },
    { withinMs: WITHIN_MS, because: `both containers of ${name} run` },
  )
}

function answer<Answer>(pod: Pod, path: string, payload?: object): Promise<Answer> {
  const init = payload ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(payload) } : {}
  return eventually(
    async () => {
      try {
        const response = await fetch(`http://${pod.status!.podIP}:8080${path}`, init)
        return response.ok ? ((await response.json()) as Answer) : undefined
      } catch {
        return undefined
      }
    },
    { withinMs: WITHIN_MS, because: 'the agent answers' },
  )
}

describe('on a node', { concurrency: true }, () => {
  void test("the starter toolkit's image runs by the defaults, where Pod Security is restricted", async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const pod = await running(t, bed, 'toolkit', container('toolkit-agent'))
    const { user, uid } = await answer<{ user: string; uid: number }>(pod, '/invocations', { prompt: 'hello' })
    assert.deepEqual([user, uid], ['bedrock_agentcore', 1000])
  })

  void test('an image that expects root runs as user 1000, and may not write where only root may', async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const pod = await running(t, bed, 'not-root', container('root-agent'))
    assert.deepEqual(await answer(pod, '/invocations', {}), {
      uid: 1000,
      gid: 0,
      writes: { '/root/agent.txt': 'Permission denied', '/var/lib/agent.txt': 'Permission denied', '/tmp/agent.txt': 'written' },
    })
  })

  void test('with runAsUser 0 it is root, where Pod Security lets it', async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const spec = { ...container('root-agent'), securityContext: { runAsUser: 0 } }
    const pod = await running(t, bed, 'root', spec, 'baseline')
    assert.deepEqual(await answer(pod, '/invocations', {}), {
      uid: 0,
      gid: 0,
      writes: { '/root/agent.txt': 'written', '/var/lib/agent.txt': 'written', '/tmp/agent.txt': 'written' },
    })
  })

  void test('the agent has no power, no token, no key of the meter, and sees its own processes only', async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const seen = await answer<Testimony>(await running(t, bed, 'bare', witness), '/')
    assert.equal(BigInt(`0x${seen.capabilities}`), 0n)
    assert.deepEqual([seen.noNewPrivileges, seen.seccomp], ['1', '2'])
    assert.equal(seen.processes, 1)
    assert.equal(seen.reads[TOKEN], 'No such file or directory')
    assert.equal(seen.environment['DOCKER_CONTAINER'], '1')
    assert.deepEqual(
      Object.keys(seen.environment).filter((name) => name.startsWith('CARREL_')),
      [],
    )
    assert.ok(!JSON.stringify(seen.environment).includes(sessionMeterKey(SECRET, SESSION_UID)))
  })

  void test('fields of the runtime: groups, a read-only file system, volumes, and a Secret by reference', async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const spec = {
      ...witness,
      securityContext: { runAsUser: 1001, runAsGroup: 1002, fsGroup: 1003, readOnlyRootFilesystem: true },
      environment: [{ name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'api-key' } } }],
      volumes: [
        { name: 'scratch', mountPath: '/scratch', emptyDir: { sizeLimit: '16Mi' } },
        { name: 'keys', mountPath: '/keys', secret: { secretName: 'keys' } },
      ],
    }
    const seen = await answer<Testimony>(await running(t, bed, 'fields', spec), '/')
    assert.deepEqual(seen.ids, [1001, 1002, [1002, 1003]])
    assert.deepEqual(seen.writes, { '/tmp/a': 'Read-only file system', '/scratch/a': true, '/keys/api-key': 'Read-only file system' })
    assert.equal(seen.reads['/keys/api-key'], 'of the user')
    assert.equal(seen.environment['API_KEY'], 'of the user')
  })

  void test('the meter beside it proves the pod by the key of the session, and runs as the user that is its own', async (t) => {
    const bed = await bedOf(t)
    if (!bed) return
    const pod = await running(t, bed, 'proven', witness)
    const [key, uid, nonce] = [sessionMeterKey(SECRET, SESSION_UID), pod.metadata.uid!, 'AAECAwQFBgcICQoLDA0ODw']
    const query = new URLSearchParams({ nonce, ask: proofRequest(key, nonce, uid) })
    const proof = await eventually(
      async () => {
        try {
          return (await (await fetch(`http://${pod.status!.podIP}:${METER_PORT}/proof?${query}`)).json()) as unknown
        } catch {
          return undefined
        }
      },
      { withinMs: WITHIN_MS, because: 'the meter answers' },
    )
    assert.deepEqual(proof, { podUID: uid, proof: proofOfPod(key, nonce, uid) })
    assert.equal(containerOf(pod, 'meter').securityContext?.runAsUser, 65_532)
    assert.equal(pod.status?.containerStatuses?.find(({ name }) => name === 'meter')?.restartCount, 0)
  })
})
