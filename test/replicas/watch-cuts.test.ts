import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import { SESSION_UID_LABEL } from '../../src/crds/agent-session.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { seededRandom } from '../../src/env/virtual.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import type { Caller, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { policyOf } from '../../src/gateway/policy.ts'
import { SessionDesk } from '../../src/gateway/sessions/sessions.ts'
import { Tables } from '../../src/gateway/sessions/tables.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { keyOf, type Store } from '../../src/kube/store.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { Operator } from '../../src/operator/operator.ts'
import { httpProbe } from '../../src/operator/probe.ts'
import { NO_METERS } from '../../src/operator/usage/meter-client.ts'
import { operatorSettings } from '../../src/operator/settings.ts'
import { agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { TcpProxy } from '../kit/tcp-proxy.ts'

const CUTS = 1_000
const DURING_MS = 60_000
const GATEWAYS = 2
/** Sessions that are opened and stopped side by side, all the while. */
const BUSY = 3
const CALLER: Caller = { owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' }, mayReadLogs: async () => false }

test('1,000 connections to the API server cut at random over a minute, while sessions open and stop: every store equals a fresh list', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const installation = await LocalInstallation.start(t, { place: 'kubernetes', args: ['--only-api'] })
  const proxy = await TcpProxy.start({ port: Number(new URL(installation.api.server).port) })
  t.after(() => proxy.stop())
  const random = seededRandom(process.env['CARREL_SEED'] ?? String(Date.now()))
  const parts = await startParts(t, installation, proxy)
  const target = await runtime(installation, parts.desks[0]!.tables)

  const end = new AbortController()
  const working = Promise.all(
    Array.from({ length: BUSY }, (_, index) => openAndStop(parts.desks[index % GATEWAYS]!.desk, target, end.signal)),
  )
  let cuts = 0
  const startedAtMs = performance.now()
  while (cuts < CUTS) {
    await wait(Math.max(1, startedAtMs + (cuts + 1) * (DURING_MS / CUTS) - performance.now()))
    cuts += proxy.cut((count) => (count === 0 ? [] : [Math.floor(random.fraction() * count)]))
  }
  const tookMs = performance.now() - startedAtMs
  end.abort()
  const opened = (await working).reduce((sum, count) => sum + count, 0)
  t.diagnostic(`${cuts} cuts in ${Math.round(tookMs / 1000)} s; sessions opened and stopped: ${opened}`)
  assert.ok(opened >= BUSY, 'sessions opened and stopped meanwhile')

  const admin = new KubeClient(parts.direct)
  const { cluster } = parts.operator
  await eventually(() => equalsFreshList(admin, AGENT_SESSIONS, cluster.sessions), {
    withinMs: 20_000,
    because: "the operator's sessions are the server's",
  })
  await eventually(() => equalsFreshList(admin, AGENT_RUNTIMES, cluster.runtimes), {
    withinMs: 20_000,
    because: "the operator's runtimes are the server's",
  })
  await eventually(() => equalsFreshList(admin, PODS, cluster.pods), { withinMs: 20_000, because: "the operator's pods are the server's" })
  for (const { tables } of parts.desks) {
    await eventually(() => equalsFreshList(admin, AGENT_SESSIONS, tables.sessions), {
      withinMs: 20_000,
      because: "a gateway's sessions are the server's",
    })
    await eventually(() => equalsFreshList(admin, PODS, tables.pods), { withinMs: 20_000, because: "a gateway's pods are the server's" })
  }
})

/** One operator and two gateways in this process, each behind the proxy. */
async function startParts(t: TestContext, installation: LocalInstallation, proxy: TcpProxy) {
  const end = new AbortController()
  const quiet = { debug() {}, info() {}, warn() {}, error() {} }
  const base = { clock: systemClock, random: systemRandom, log: quiet }
  const transports: (Transport & { close(): Promise<void> })[] = []
  const through = (part: 'operator' | 'gateway', server: string): Transport => {
    const transport = httpTransport({ ...loadCluster({ kubeconfig: join(installation.home, `${part}.kubeconfig`) }), server })
    transports.push(transport)
    return transport
  }
  const spoiled = `https://127.0.0.1:${proxy.port}`
  const activity = new MemoryActivity(systemClock)
  const probe = httpProbe()
  const operator = new Operator(
    {
      ...base,
      kubernetes: through('operator', spoiled),
      activity,
      probe,
      providers: { check: async () => ({ ok: true }) },
      meters: NO_METERS,
    },
    operatorSettings.parse({ artifacts: 'code' }),
  )
  const operating = operator.run(end.signal)
  const desks = Array.from({ length: GATEWAYS }, (_, index) => {
    const env = { ...base, kubernetes: through('gateway', spoiled), activity, dial: new Pools('none') }
    const tables = new Tables(env, { namespace: 'carrel-system', accessKeyType: 'carrel.dev/access-key' }, end.signal)
    const desk = new SessionDesk(env, tables, { name: `gateway-${index}`, ready: tables.synced })
    return { tables, desk, running: desk.run(end.signal) }
  })
  t.after(async () => {
    end.abort()
    await Promise.all([operating, ...desks.map(({ running }) => running)])
    await Promise.all([probe.close(), ...transports.map((transport) => transport.close())])
  })
  await Promise.all(desks.map(({ tables }) => tables.synced))
  return { operator, desks, direct: httpTransportOf(t, installation) }
}

function httpTransportOf(t: TestContext, installation: LocalInstallation): Transport {
  const transport = httpTransport(loadCluster({ kubeconfig: installation.kubeconfigOf('admin') }))
  t.after(() => transport.close())
  return transport
}

async function runtime(installation: LocalInstallation, tables: Tables): Promise<RuntimeTarget> {
  await installation.apply(runtimeManifest('probe', { limits: { newSessionsPerSecond: 1_000, sessionsPerOwner: 1_000 } }))
  const found = await eventually(() => tables.runtimes.get('default', 'probe') as AgentRuntime | undefined, {
    withinMs: 10_000,
    because: 'the gateway knows it',
  })
  return { runtime: found, runtimeId: agentRuntimeId(found), endpoint: 'DEFAULT', policy: policyOf(found.spec) }
}

/** New sessions, one after the other, each entered, left and stopped; how many. What the cuts spoil is tried again, as a caller would. */
async function openAndStop(desk: SessionDesk, target: RuntimeTarget, signal: AbortSignal): Promise<number> {
  let done = 0
  while (!signal.aborted) {
    const sessionId = newSessionId()
    const entered = await desk.enter(target, CALLER, sessionId, new AbortController().signal)
    if (entered.outcome === 'entered') entered.release()
    else if (entered.outcome === 'failed') throw new Error(`${entered.reason}: ${entered.message}`)
    const stopped = await desk.stop(target, CALLER, sessionId, undefined).catch(() => 'cut')
    if (entered.outcome === 'entered' && stopped === 'stopped') done += 1
  }
  return done
}

async function equalsFreshList<T extends KubeObject>(admin: KubeClient, resource: Resource<T>, store: Store<T>): Promise<true> {
  const selector = resource.kind === 'Pod' ? { labelSelector: SESSION_UID_LABEL } : {}
  const { items } = await admin.list(resource, selector)
  const shown = (objects: readonly T[]): string[] =>
    objects.map((object) => `${keyOf(object)} ${object.metadata.uid} ${object.metadata.resourceVersion}`).toSorted()
  assert.deepEqual(shown(store.list()), shown(items))
  return true
}
