/** What the real API server says of the pods: Pod Security `restricted`, and its own rules for each field. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject, Pod, Status } from '../../src/kube/objects.ts'
import type { Resource } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { eventually } from '../kit/eventually.ts'
import { lendPlane, type LentPlane } from '../kit/planes.ts'
import { needs } from '../kit/ring.ts'
import { METERED, built, containerOf } from './built.ts'

const NAMESPACE = 'sessions'
const NAMESPACES: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
const ACCOUNTS: Resource = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true }
const CLASSES: Resource = { group: 'node.k8s.io', version: 'v1', kind: 'RuntimeClass', plural: 'runtimeclasses', namespaced: false }

let lent: LentPlane | undefined
let transport: (Transport & { close(): Promise<void> }) | undefined

before(async (t) => {
  if (needs(t as never, 'CARREL_TEST_CONTROL_PLANE') === undefined) return
  lent = await lendPlane()
  transport = httpTransport(lent.plane.access)
  const admin = new KubeClient(transport)
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/enforce-version': 'latest' }
  await admin.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } } as KubeObject)
  for (const [name, handler] of [
    ['kata-qemu-runtime-rs', 'kata-qemu-runtime-rs'],
    ['carrel-runc', 'runc'],
  ])
    await admin.create(CLASSES, { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler } as KubeObject)
  await eventually(() => admin.find(ACCOUNTS, NAMESPACE, 'default'), { withinMs: 30_000, because: 'the namespace has its account' })
  await admin.create(ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agents', namespace: NAMESPACE } })
  // The classes reach the API server's own cache a moment late.
  await eventually(async () => (await judged(built({}, METERED, NAMESPACE))).status === 201, {
    withinMs: 20_000,
    because: 'the API server takes the default pod',
  })
})
after(async () => {
  await transport?.close()
})

/** By the whole chain of admission; nothing is stored. */
async function judged(pod: Pod): Promise<{ status: number; pod: Pod; said: string }> {
  const path = `/api/v1/namespaces/${NAMESPACE}/pods`
  const { status, body } = await transport!.request({
    method: 'POST',
    path,
    query: { dryRun: 'All', fieldValidation: 'Strict' },
    body: { ...pod, metadata: { ...pod.metadata, namespace: NAMESPACE } },
  })
  return { status, pod: body as Pod, said: (body as Status).message ?? '' }
}

const VOLUMES = [
  { name: 'scratch', mountPath: '/tmp', emptyDir: { sizeLimit: '64Mi', medium: 'Memory' } },
  { name: 'books', mountPath: '/books', readOnly: true, persistentVolumeClaim: { claimName: 'library' } },
  { name: 'keys', mountPath: '/keys', secret: { secretName: 'keys', items: [{ key: 'a', path: 'b' }] } },
  { name: 'words', mountPath: '/words', configMap: { name: 'words' } },
]

/** The spec of a runtime, and of the installation, whose pods `restricted` takes. */
const TAKEN: [string, object, object][] = [
  ['a runtime of few words', {}, METERED],
  ['without a meter', {}, {}],
  ["the cluster's own class", {}, { ...METERED, defaultRuntimeClass: '' }],
  ['another class', { runtimeClassName: 'carrel-runc' }, METERED],
  ['an account', { serviceAccountName: 'agents' }, METERED],
  ['every kind of volume', { volumes: VOLUMES }, METERED],
  [
    'all of the rest',
    {
      resources: { limits: { cpu: 2, memory: '1.5Gi' }, requests: { cpu: '0.5', 'ephemeral-storage': '1G' } },
      securityContext: { runAsUser: 5, runAsGroup: 6, fsGroup: 7, readOnlyRootFilesystem: true },
      environment: [{ name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'k', optional: true } } }],
      lifecycle: { stopGraceSeconds: 600 },
      placement: {
        nodeSelector: { 'carrel.dev/kata': 'true' },
        tolerations: [{ key: 'agents', operator: 'Equal', value: 'only', effect: 'NoSchedule' }, { operator: 'Exists' }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] }] }],
            },
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 5, preference: { matchExpressions: [{ key: 'cores', operator: 'Gt', values: ['8'] }] } },
            ],
          },
        },
      },
      artifact: {
        container: { image: 'hello:1', command: ['a'], args: ['b'], imagePullPolicy: 'Never', imagePullSecrets: [{ name: 'mine' }] },
      },
    },
    METERED,
  ],
]

/** One thing of the default pod made worse, and what of it the API server names. */
const REFUSED: [string, (pod: Pod) => unknown, RegExp][] = [
  ['a privilege gained', (pod) => (securityOf(pod).allowPrivilegeEscalation = true), /allowPrivilegeEscalation/],
  ['capabilities kept', (pod) => delete securityOf(pod).capabilities, /unrestricted capabilities/],
  ['a capability added', (pod) => (securityOf(pod).capabilities!.add = ['NET_ADMIN']), /unrestricted capabilities/],
  ['root', (pod) => (securityOf(pod).runAsUser = 0), /runAsUser=0|runAsNonRoot/],
  ['perhaps root', (pod) => (securityOf(pod).runAsNonRoot = false), /runAsNonRoot/],
  ['no seccomp profile', (pod) => delete securityOf(pod).seccompProfile, /seccompProfile/],
  ['a privileged agent', (pod) => Object.assign(securityOf(pod), { privileged: true, allowPrivilegeEscalation: true }), /privileged/],
  ['a folder of the node', (pod) => (pod.spec!.volumes = [{ name: 'a', hostPath: { path: '/' } }]), /hostPath/],
  ['a port of the node', (pod) => (containerOf(pod, 'agent').ports![0]!.hostPort = 8080), /hostPort/],
  ['the network of the node', (pod) => (pod.spec!.hostNetwork = true), /hostNetwork|host namespaces/],
  ['the processes of the node', (pod) => (pod.spec!.hostPID = true), /host namespaces/],
  [
    'a probe of another host',
    (pod) => (containerOf(pod, 'agent').livenessProbe = { httpGet: { host: '10.0.0.1', port: 80 } }),
    /probe.*host/i,
  ],
  ['a class that there is not', (pod) => (pod.spec!.runtimeClassName = 'none-such'), /RuntimeClass "none-such" not found/],
  ['an account that there is not', (pod) => (pod.spec!.serviceAccountName = 'nobody'), /serviceaccount "nobody" not found/],
  [
    'a meter that is root',
    (pod) => (containerOf(pod, 'meter').securityContext!.runAsUser = 0),
    /"meter" must not set runAsUser=0|runAsNonRoot/,
  ],
]

function securityOf(pod: Pod): NonNullable<ReturnType<typeof containerOf>['securityContext']> {
  return containerOf(pod, 'agent').securityContext!
}

describe('Pod Security restricted', () => {
  for (const [what, spec, settings] of TAKEN) {
    test(`takes: ${what}`, async (t) => {
      if (!lent) return t.skip()
      const { status, said } = await judged(built(spec, settings, NAMESPACE))
      assert.equal(status, 201, said)
    })
  }

  for (const [what, spoil, naming] of REFUSED) {
    test(`refuses: ${what}`, async (t) => {
      if (!lent) return t.skip()
      const pod = built({}, METERED, NAMESPACE)
      spoil(pod)
      const { status, said } = await judged(pod)
      assert.ok(status === 403 || status === 422, `${status} ${said}`)
      assert.match(said, naming)
    })
  }

  test('refuses a runtime that asks for root, and names the field', async (t) => {
    if (!lent) return t.skip()
    const { status, said } = await judged(built({ securityContext: { runAsUser: 0 } }, METERED, NAMESPACE))
    assert.equal(status, 403)
    assert.match(said, /violates PodSecurity "restricted:latest": .*runAsNonRoot != true .*runAsUser=0/)
  })
})

test('a token is mounted only where the runtime names an account, and the meter sees the same', async (t) => {
  if (!lent) return t.skip()
  const mounts = ({ pod }: { pod: Pod }): number => pod.spec!.containers.flatMap(({ volumeMounts = [] }) => volumeMounts).length
  assert.equal(mounts(await judged(built({}, METERED, NAMESPACE))), 0, 'no volume at all, so that the kubelet waits for none')
  const named = await judged(built({ serviceAccountName: 'agents' }, METERED, NAMESPACE))
  assert.ok(mounts(named) > 0)
  assert.match(JSON.stringify(named.pod.spec?.volumes), /serviceAccountToken/)
})

test('Kubernetes changes nothing of importance: what was sent is what a node would get', async (t) => {
  if (!lent) return t.skip()
  const sent = built({}, METERED, NAMESPACE)
  const { pod } = await judged(sent)
  for (const field of [
    'activeDeadlineSeconds',
    'terminationGracePeriodSeconds',
    'automountServiceAccountToken',
    'enableServiceLinks',
  ] as const)
    assert.equal(pod.spec?.[field], sent.spec?.[field], field)
  for (const name of ['agent', 'meter']) {
    assert.deepEqual(containerOf(pod, name).resources, containerOf(sent, name).resources)
    assert.deepEqual(containerOf(pod, name).securityContext, containerOf(sent, name).securityContext)
  }
  const seconds = pod.spec?.tolerations?.filter(({ effect }) => effect === 'NoExecute').map(({ tolerationSeconds }) => tolerationSeconds)
  assert.deepEqual(seconds, [30, 30], "and not the five minutes of Kubernetes' default")
  assert.equal(pod.status?.qosClass, 'Burstable')
})
