/** An operator at work on a real API server: the key of a session's meters from its first pod to its end, and what it refuses. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { createSession, reopenSession, stopSession, wantedSession, type Wanted } from '../../src/gateway/sessions/open.ts'
import { policyOf } from '../../src/gateway/policy.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { TransportError } from '../../src/kube/errors.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, SECRETS, type Resource } from '../../src/kube/resource.ts'
import type { ApiRequest, Transport } from '../../src/kube/transport.ts'
import { sessionMeterKey } from '../../src/metering/access.ts'
import { Operator } from '../../src/operator/operator.ts'
import { httpProbe } from '../../src/operator/probe.ts'
import { NO_METERS } from '../../src/operator/usage/meter-client.ts'
import { agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { eventually } from '../kit/eventually.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { lendPlane, type LentPlane } from '../kit/planes.ts'
import { needs } from '../kit/ring.ts'
import { METERED, SECRET, containerOf, settingsOf } from './built.ts'

const CLASSES: Resource = { group: 'node.k8s.io', version: 'v1', kind: 'RuntimeClass', plural: 'runtimeclasses', namespaced: false }
const WITHIN = { withinMs: 60_000 }

let lent: LentPlane | undefined
let admin: KubeClient
let wanted: Wanted
const end = new AbortController()
/** What the operator asks of the API server, but watches. */
const ofOperator: ApiRequest[] = []
const closing: (() => Promise<unknown>)[] = []

before(async (t) => {
  if (needs(t as never, 'CARREL_TEST_CONTROL_PLANE') === undefined) return
  lent = await lendPlane()
  const transport = httpTransport(lent.plane.access)
  admin = new KubeClient(transport)
  const metadata = { name: 'kata-qemu-runtime-rs' }
  await admin.create(CLASSES, { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata, handler: 'kata' } as KubeObject)
  startOperator(transport)
  await admin.create(AGENT_RUNTIMES, runtimeManifest('probe'))
  const runtime = await eventually(
    async () => {
      const found = await admin.get<AgentRuntime>(AGENT_RUNTIMES, 'default', 'probe')
      return found.status?.latestVersion === undefined ? undefined : found
    },
    { ...WITHIN, because: 'the runtime has a version' },
  )
  const target = { runtime, runtimeId: agentRuntimeId(runtime), endpoint: 'DEFAULT', policy: policyOf(runtime.spec) }
  const owner = { kind: 'kubernetes', issuer: 'kubernetes', subject: 'someone' }
  wanted = wantedSession(target, { owner, mayReadLogs: async () => false }, 'session-0123456789-0123456789-0123')
})
after(async () => {
  end.abort()
  for (const close of closing) await close()
})

function startOperator(kubernetes: Transport & { close(): Promise<void> }): void {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const probe = httpProbe()
  const env = {
    clock: systemClock,
    random: systemRandom,
    log,
    kubernetes: {
      ...kubernetes,
      request(asked: ApiRequest) {
        ofOperator.push(asked)
        if (isPod(asked) && ofOperator.filter(isPod).length === 1)
          return Promise.reject(new TransportError('the first pod is lost on its way'))
        return kubernetes.request(asked)
      },
      watch: (...given: Parameters<Transport['watch']>) => kubernetes.watch(...given),
    },
    activity: new MemoryActivity(systemClock),
    probe,
    providers: { check: async () => ({ ok: true }) as const },
    meters: NO_METERS,
  }
  const running = new Operator(env, settingsOf(METERED)).run(end.signal)
  closing.push(
    () => running,
    () => probe.close(),
    () => kubernetes.close(),
  )
}

const isPod = ({ method, path }: ApiRequest): boolean => method === 'POST' && path.endsWith('/pods')

/** The pod that the session's status names, of this incarnation. */
function podOf(incarnation: number): Promise<Pod> {
  return eventually(
    async () => {
      const { status } = await admin.get<AgentSession>(AGENT_SESSIONS, 'default', wanted.name)
      return status?.incarnation === incarnation && status.podName ? admin.find(PODS, 'default', status.podName) : undefined
    },
    { ...WITHIN, because: `incarnation ${incarnation} has a pod` },
  )
}

function keyNameOf(pod: Pod): string | undefined {
  return containerOf(pod, 'meter').env?.find(({ name }) => name === 'CARREL_METER_KEY')?.valueFrom?.secretKeyRef?.name
}

describe("the key of a session's meters", () => {
  test('is there before the first pod, for this session alone, and cannot be changed', async (t) => {
    if (!lent) return t.skip()
    const { metadata } = await createSession(admin, wanted)
    const pod = await podOf(1)
    const secret = await admin.get(SECRETS, 'default', `meter-${metadata.uid}`)
    assert.equal(keyNameOf(pod), secret.metadata.name)
    assert.equal(Buffer.from(secret.data!['key']!, 'base64').toString(), sessionMeterKey(SECRET, metadata.uid!))
    assert.deepEqual([secret.type, secret.immutable], ['carrel.dev/meter-key', true])
    assert.deepEqual(
      secret.metadata.ownerReferences?.map(({ kind, uid, controller }) => [kind, uid, controller]),
      [['AgentSession', metadata.uid, true]],
    )
    const made = writes().map(({ objectRef }) => objectRef?.resource)
    assert.deepEqual(made, ['secrets', 'pods'])
    const asked = ofOperator.filter(({ method, path }) => method === 'POST' && /\/(pods|secrets)$/.test(path))
    assert.deepEqual(
      asked.map(({ path }) => path.split('/').at(-1)),
      ['secrets', 'pods', 'secrets', 'pods'],
      'tried again after a pod that was lost, the key is there already',
    )
  })

  test('is the same for the next incarnation', async (t) => {
    if (!lent) return t.skip()
    await stopSession(admin, wanted, undefined)
    const over = await eventually(
      async () => {
        const session = await admin.get<AgentSession>(AGENT_SESSIONS, 'default', wanted.name)
        return session.status?.phase === 'Terminated' ? session : undefined
      },
      { ...WITHIN, because: 'the first incarnation is over' },
    )
    await reopenSession(admin, over)
    assert.equal(keyNameOf(await podOf(2)), `meter-${over.metadata.uid}`)
    assert.equal(
      (await admin.list(SECRETS, { namespace: 'default' })).items.filter(({ type }) => type === 'carrel.dev/meter-key').length,
      1,
    )
  })

  test('is written by the operator, and never read', (t) => {
    if (!lent) return t.skip()
    const asked = ofOperator.filter(({ path }) => path.includes('/secrets'))
    assert.deepEqual([...new Set(asked.map(({ method, path }) => `${method} ${path}`))], ['POST /api/v1/namespaces/default/secrets'])
  })

  test('goes with the session', async (t) => {
    if (!lent) return t.skip()
    const { metadata } = await admin.get<AgentSession>(AGENT_SESSIONS, 'default', wanted.name)
    await admin.delete(AGENT_SESSIONS, 'default', wanted.name, { uid: metadata.uid! })
    await eventually(async () => (await admin.find(SECRETS, 'default', `meter-${metadata.uid}`)) === undefined, {
      ...WITHIN,
      because: 'the garbage collector takes it',
    })
  })
})

test('a runtime that names a class which is not allowed is not accepted, and its condition lists what is', async (t) => {
  if (!lent) return t.skip()
  const { spec, ...manifest } = runtimeManifest('other')
  await admin.create<AgentRuntime>(AGENT_RUNTIMES, { ...manifest, spec: { ...spec, runtimeClassName: 'runc' } })
  const accepted = await eventually(
    async () => {
      const { status } = await admin.get<AgentRuntime>(AGENT_RUNTIMES, 'default', 'other')
      return status?.conditions?.find(({ type }) => type === 'Accepted')
    },
    { ...WITHIN, because: 'the operator has judged it' },
  )
  assert.deepEqual(
    [accepted.status, accepted.reason, accepted.message],
    [
      'False',
      'RuntimeClassNotAllowed',
      'runtimeClassName runc is not allowed here: name one of kata-qemu-runtime-rs, or none for the default',
    ],
  )
})

/** Creations of pods and of meters' keys that succeeded, in order. */
function writes(): ReturnType<LentPlane['audit']> {
  return lent!
    .audit()
    .filter(
      ({ verb, responseStatus, objectRef }) =>
        verb === 'create' && responseStatus.code === 201 && ['pods', 'secrets'].includes(objectRef?.resource ?? ''),
    )
}
