import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { stringify } from 'yaml'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { isNotFound } from '../../src/kube/errors.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { tokenOf } from '../../src/local/start/roles.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'
import { CHART, SYSTEM, rendered } from './helm.ts'
import {
  CRD,
  DEPLOYMENT,
  NAMESPACE,
  SECRET_KIND,
  STATEFUL_SET,
  emptyCluster,
  installed,
  kindOf,
  secretOf,
  type AnyObject,
  type EmptyCluster,
  type Installed,
} from './installed.ts'
import { SETS } from './sets.ts'

const WITHIN_MS = 20_000
/** Kinds of others that the chart makes by setting. */
const STRANGERS = [
  ['gateway.networking.k8s.io', 'v1', 'HTTPRoute', 'httproutes'],
  ['monitoring.coreos.com', 'v1', 'ServiceMonitor', 'servicemonitors'],
] as const
const STRANGE = {
  gateway: { httpRoute: { enabled: true, parentRefs: [{ name: 'public', namespace: 'edge' }], hostnames: ['agents.example.com'] } },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
}

const WORKLOADS = [
  [DEPLOYMENT, 'carrel-operator'],
  [DEPLOYMENT, 'carrel-gateway'],
  [STATEFUL_SET, 'carrel-redis'],
] as const

/** Rises with every change of what is wanted: its pods are made anew. */
async function generations({ client }: Installed): Promise<(number | undefined)[]> {
  const found = await Promise.all(WORKLOADS.map(([kind, name]) => client.get(kind, SYSTEM, name)))
  return found.map(({ metadata }) => (metadata as { generation?: number }).generation)
}

async function drainSecondsOf({ client }: Installed): Promise<string> {
  const { spec } = await client.get(DEPLOYMENT, SYSTEM, 'carrel-gateway')
  return spec.template.spec.containers[0].env.find(({ name }: { name: string }) => name === 'CARREL_DRAIN_SECONDS').value
}

for (const [name, values] of [...Object.entries(SETS), ['what hangs on kinds of others', STRANGE] as const]) {
  test(`the API server takes every object as it is: ${name}`, async (t) => {
    const here = await emptyCluster(t)
    const kubectl = needs(t, 'CARREL_TEST_KUBECTL')
    if (!here || !kubectl) return
    for (const namespace of [SYSTEM, 'agents', 'team-b']) await ensure(here, NAMESPACE, { ...bare('v1', 'Namespace', namespace) })
    for (const [group, version, kind, plural] of STRANGERS) await ensure(here, CRD, anyShape(group, version, kind, plural))
    const input = rendered(values).map((object) => `---\n${stringify(object, { aliasDuplicateObjects: false })}`)
    const flags = ['apply', '--server-side', '--force-conflicts', '--validate=strict', '--dry-run=server']
    let said = ''
    // A kind that was made a moment ago may not be served yet.
    await eventually(
      () => {
        const { status, stderr } = spawnSync(kubectl, [...flags, '--filename', '-'], {
          input: input.join(''),
          encoding: 'utf8',
          env: { ...process.env, KUBECONFIG: here.kubeconfig },
        })
        said = stderr
        return status === 0
      },
      { withinMs: name.includes('others') ? WITHIN_MS : 1, because: 'kubectl apply --dry-run=server takes it' },
    ).catch((error: unknown) => assert.fail(`${String(error)}: ${said}`))
    assert.equal(said, '', 'no warnings')
  })
}

test('an upgrade without a change makes no pod anew, and keeps the secrets', async (t) => {
  const here = await installed(t)
  if (!here) return
  const before = [await generations(here), await secretOf(here, 'carrel-meter'), await secretOf(here, 'carrel-redis')]
  here.helm(['upgrade', 'carrel', CHART])
  assert.deepEqual([await generations(here), await secretOf(here, 'carrel-meter'), await secretOf(here, 'carrel-redis')], before)
  assert.ok(Buffer.from((await secretOf(here, 'carrel-meter'))['secret']!, 'base64').length >= 32)
})

test('a changed setting makes the pods of its part anew, and of no other; a rollback brings it back', async (t) => {
  const here = await installed(t)
  if (!here) return
  const secrets = await secretOf(here, 'carrel-redis')
  const [operator, gateway, redis] = await generations(here)
  here.helm(['upgrade', 'carrel', CHART], { gateway: { drainSeconds: 60 } })
  assert.deepEqual(await generations(here), [operator, gateway! + 1, redis])
  assert.equal(await drainSecondsOf(here), '60')
  here.helm(['rollback', 'carrel'])
  assert.equal(await drainSecondsOf(here), '30')
  assert.deepEqual(await secretOf(here, 'carrel-redis'), secrets)
})

test('a new secret makes operator and gateways anew', async (t) => {
  const here = await installed(t)
  if (!here) return
  const [operator, gateway] = await generations(here)
  await here.client.mergePatch(SECRET_KIND, SYSTEM, 'carrel-meter', { stringData: { secret: 'another-secret-of-32-characters-or-more' } })
  here.helm(['upgrade', 'carrel', CHART, '--force-conflicts'])
  assert.equal(
    Buffer.from((await secretOf(here, 'carrel-meter'))['secret']!, 'base64').toString(),
    'another-secret-of-32-characters-or-more',
  )
  assert.deepEqual((await generations(here)).slice(0, 2), [operator! + 1, gateway! + 1])
})

test('helm upgrade upgrades the kinds, which somebody else had installed before', async (t) => {
  const here = await installed(t)
  if (!here) return
  const chart = mkdtempSync(join(tmpdir(), 'carrel-chart-'))
  t.after(() => rmSync(chart, { recursive: true }))
  cpSync(CHART, chart, { recursive: true })
  const file = join(chart, 'files', 'crds', 'agentruntimes.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('- art\n', '- art\n      - runtime-of-tomorrow\n'))
  // Of each field that changes, the first time.
  here.helm(['upgrade', 'carrel', chart, '--force-conflicts'])
  const { spec } = await here.client.get(CRD, undefined, 'agentruntimes.carrel.dev')
  assert.deepEqual(spec.names.shortNames, ['art', 'runtime-of-tomorrow'])
  here.helm(['upgrade', 'carrel', CHART])
})

test('not even an administrator writes a status, and the operator makes no Secrets but keys of meters', async (t) => {
  const here = await installed(t)
  if (!here) return
  const runtime = { ...bare('carrel.dev/v1alpha1', 'AgentRuntime', 'mine', 'agents'), spec: { artifact: { container: { image: 'a:1' } } } }
  await here.client.create(AGENT_RUNTIMES, runtime as never)
  const claim = (): Promise<unknown> =>
    here.client.mergePatch(
      AGENT_RUNTIMES,
      'agents',
      'mine',
      { status: { agentRuntimeId: 'another-0123456789' } },
      { subresource: 'status' },
    )
  await refused(claim, /only the operator writes this status/)

  const operator = await asPart(t, here, 'operator')
  const secret = (name: string, type: string): AnyObject => ({ ...bare('v1', 'Secret', name, 'agents'), type })
  const token = { ...secret('meter-x', 'kubernetes.io/service-account-token') }
  token.metadata.annotations = { 'kubernetes.io/service-account.name': 'default' }
  await refused(() => operator.create(SECRET_KIND, token), /the operator makes no Secrets but the keys of meters/)
  await refused(() => operator.create(SECRET_KIND, secret('other', 'carrel.dev/meter-key')), /no Secrets but the keys of meters/)
})

test('a session namespace that the chart makes takes no pod that is not restricted', async (t) => {
  const here = await installed(t)
  if (!here) return
  const pod = { ...bare('v1', 'Pod', 'root', 'agents'), spec: { hostNetwork: true, containers: [{ name: 'a', image: 'a' }] } }
  await refused(() => here.client.create(kindOf('', 'v1', 'Pod', 'pods'), pod), /violates PodSecurity "restricted/)
})

test('an uninstall leaves kinds, objects and session namespaces, and nothing else; the next install takes them over', async (t) => {
  const here = await installed(t)
  if (!here) return
  // The hook is a pod, and here is no node.
  here.helm(['uninstall', 'carrel', '--no-hooks'])
  await here.client.get(CRD, undefined, 'agentruntimes.carrel.dev')
  await here.client.get(NAMESPACE, undefined, 'agents')
  await here.client.get(AGENT_RUNTIMES, 'agents', 'mine')
  for (const [kind, name] of WORKLOADS) await assert.rejects(here.client.get(kind, SYSTEM, name), isNotFound)
  for (const plural of ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings']) {
    const found: { items: AnyObject[] } = await here.client.list(kindOf('rbac.authorization.k8s.io', 'v1', plural, plural))
    const left = found.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('carrel'))
    assert.deepEqual(left, [], plural)
  }
  here.helm(['install', 'carrel', CHART])
  await here.client.get(DEPLOYMENT, SYSTEM, 'carrel-operator')
})

const bare = (apiVersion: string, kind: string, name: string, namespace?: string): AnyObject => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
})

async function ensure({ client }: EmptyCluster, kind: Parameters<KubeClient['find']>[0], object: AnyObject): Promise<void> {
  if ((await client.find(kind, undefined, object.metadata.name)) === undefined) await client.create(kind, object)
}

function anyShape(group: string, version: string, kind: string, plural: string): AnyObject {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const names = { kind, plural, singular: kind.toLowerCase() }
  const spec = { group, names, scope: 'Namespaced', versions: [{ name: version, served: true, storage: true, schema }] }
  const crd = bare('apiextensions.k8s.io/v1', 'CustomResourceDefinition', `${plural}.${group}`)
  crd.metadata.annotations = { 'api-approved.kubernetes.io': 'unapproved, a stand-in' }
  return { ...crd, spec }
}

async function asPart(t: TestContext, here: Installed, part: 'operator' | 'gateway'): Promise<KubeClient> {
  const { server, ca } = loadCluster({ kubeconfig: here.kubeconfig })
  const token = await tokenOf(here.client, part, 3_600)
  const transport = httpTransport({ server, token: () => token, ...(ca === undefined ? {} : { ca }) })
  t.after(() => transport.close())
  return new KubeClient(transport)
}

/** Policies take effect a moment after they are made. */
async function refused(action: () => Promise<unknown>, says: RegExp): Promise<void> {
  let last = 'it was done'
  const isRefused = (): Promise<boolean> =>
    action().then(
      () => false,
      (error: unknown) => says.test((last = String(error))),
    )
  await eventually(isRefused, { withinMs: WITHIN_MS, because: String(says) }).catch(() => assert.fail(`${last}, and should be ${says}`))
}
