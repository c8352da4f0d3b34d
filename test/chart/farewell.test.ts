import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { AGENT_SESSIONS, SESSION_FINALIZER, SESSION_UID_LABEL, type AgentSession } from '../../src/crds/agent-session.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { removeFinalizer } from '../../src/kube/finalizers.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { farewell } from '../../src/operator/farewell/farewell.ts'
import { eventually } from '../kit/eventually.ts'
import { listeningEnv } from '../kit/redis-activity.ts'
import { needs } from '../kit/ring.ts'
import { SYSTEM, find, rendered } from './helm.ts'
import { DEPLOYMENT, installed, kindOf, type AnyObject, type Installed } from './installed.ts'

const POD = kindOf('', 'v1', 'Pod', 'pods')
const WITHIN_MS = 20_000

/** With the rights that the chart's hook has, and no others. */
async function asFarewell(t: TestContext, here: Installed): Promise<Transport> {
  const hooks = rendered().filter(({ kind, metadata }) => metadata.annotations?.['helm.sh/hook'] === 'pre-delete' && kind !== 'Job')
  assert.ok(hooks.length >= 5)
  const input = hooks.map((object) => `---\n${stringify(object, { aliasDuplicateObjects: false })}`).join('')
  const env = { ...process.env, KUBECONFIG: here.kubeconfig }
  const kubectl = process.env['CARREL_TEST_KUBECTL']!
  const { status, stderr } = spawnSync(kubectl, ['apply', '--filename', '-'], { input, encoding: 'utf8', env })
  assert.equal(status, 0, stderr)
  const asked = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { name: 'farewell' },
    spec: { expirationSeconds: 3_600 },
  }
  const made = await here.transport.request({
    method: 'POST',
    path: `/api/v1/namespaces/${SYSTEM}/serviceaccounts/farewell/token`,
    body: asked,
  })
  const { token } = (made.body as { status: { token: string } }).status
  const { server, ca } = loadCluster({ kubeconfig: here.kubeconfig })
  const transport = httpTransport({ server, token: () => token, ...(ca === undefined ? {} : { ca }) })
  t.after(() => transport.close())
  return transport
}

async function openSession({ client }: Installed, name: string): Promise<AgentSession> {
  const session = await client.create(AGENT_SESSIONS, {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name, namespace: 'agents', finalizers: [SESSION_FINALIZER] },
    spec: {
      runtimeRef: { name: 'hello', uid: 'a-uid' },
      endpoint: 'DEFAULT',
      sessionId: `${name}-`.padEnd(33, '0'),
      owner: { kind: 'KubernetesUser', issuer: 'a', subject: 'b' },
      incarnation: 1,
      stopThrough: 0,
    },
  } as AgentSession)
  await client.create(POD, podOf(`${name}-1`, 'agents', { [SESSION_UID_LABEL]: session.metadata.uid! }))
  return session
}

/** As restricted as the namespace wants it. */
function podOf(name: string, namespace: string, labels: Record<string, string>): AnyObject {
  const securityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const spec = { containers: [{ name: 'agent', image: 'a', securityContext }], automountServiceAccountToken: false }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec }
}

const left = async ({ client }: Installed): Promise<string[]> =>
  [...(await client.list(AGENT_SESSIONS)).items, ...(await client.list(POD, { namespace: 'agents' })).items].map(
    ({ metadata }) => metadata.name,
  )

/** What an operator does with a session that is deleted, until the test ends. */
function operate(t: TestContext, { client }: Installed): void {
  let isOver = false
  const working = (async () => {
    while (!isOver) {
      for (const session of (await client.list(AGENT_SESSIONS)).items.filter(({ metadata }) => metadata.deletionTimestamp)) {
        const { items } = await client.list(POD, { namespace: 'agents', labelSelector: `${SESSION_UID_LABEL}=${session.metadata.uid}` })
        for (const { metadata } of items) await client.delete(POD, 'agents', metadata.name, { uid: metadata.uid!, gracePeriodSeconds: 0 })
        await removeFinalizer(client, AGENT_SESSIONS, session, SESSION_FINALIZER)
      }
      await wait(50)
    }
  })()
  t.after(async () => {
    isOver = true
    await working
  })
}

async function ready(t: TestContext): Promise<Installed | undefined> {
  const here = await installed(t)
  return here && needs(t, 'CARREL_TEST_KUBECTL') ? here : undefined
}

test('while the operator works, it ends the sessions itself, and no gateway is left to open them again', async (t) => {
  const here = await ready(t)
  if (!here) return
  const kubernetes = await asFarewell(t, here)
  for (const name of ['one', 'two', 'three']) await openSession(here, name)
  const gateway = await here.client.create(POD, podOf('carrel-gateway-0', SYSTEM, { 'carrel.dev/part': 'gateway' }))
  operate(t, here)
  const ending = farewell({ ...listeningEnv().env, kubernetes }, 60)
  await eventually(async () => (await left(here)).length === 0, { withinMs: WITHIN_MS, because: 'all sessions are ended' })
  const { spec } = await here.client.get(DEPLOYMENT, SYSTEM, 'carrel-gateway')
  assert.equal(spec.replicas, 0)
  // A gateway that still drains may open one more.
  await openSession(here, 'late')
  await eventually(async () => (await left(here)).length === 0, { withinMs: WITHIN_MS, because: 'the late one is ended, too' })
  await here.client.delete(POD, SYSTEM, 'carrel-gateway-0', { uid: gateway.metadata.uid!, gracePeriodSeconds: 0 })
  assert.deepEqual(await ending, { ended: 4, forced: 0 })
})

test('an operator that is gone keeps nothing: pods are killed, and sessions are released', async (t) => {
  const here = await ready(t)
  if (!here) return
  const kubernetes = await asFarewell(t, here)
  for (const name of ['stuck', 'stuck-too']) await openSession(here, name)
  const { env, said } = listeningEnv()
  assert.deepEqual(await farewell({ ...env, kubernetes }, 0), { ended: 0, forced: 2 })
  assert.deepEqual(said, [])
  assert.deepEqual(await left(here), [])
})

test('where nothing may be done, it says so and comes to an end', async (t) => {
  const here = await ready(t)
  if (!here) return
  const { server, ca } = loadCluster({ kubeconfig: here.kubeconfig })
  const kubernetes = httpTransport({ server, token: () => 'nobody', ...(ca === undefined ? {} : { ca }) })
  t.after(() => kubernetes.close())
  const { env, said } = listeningEnv()
  assert.deepEqual(await farewell({ ...env, kubernetes }, 0), { ended: 0, forced: 0 })
  assert.ok(said.length >= 2 && said.every(({ level }) => level === 'warn'))
})

test('the hook is bounded: it ends within the minute that an uninstall may take', (t) => {
  if (!needs(t, 'CARREL_TEST_HELM')) return
  const { spec } = find(rendered({ farewell: { seconds: 45 } }), 'Job', 'carrel-farewell')
  assert.ok(spec.activeDeadlineSeconds < 60)
  assert.deepEqual(spec.template.spec.containers[0].command, ['node', '/carrel/dist/operator/farewell/main.js'])
})
