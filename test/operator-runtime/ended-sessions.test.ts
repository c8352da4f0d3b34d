import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES, DEFAULT_LIMITS, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { Env } from '../../src/env/env.ts'
import { KubeClient } from '../../src/kube/client.ts'
import type { ApiRequest, Transport } from '../../src/kube/transport.ts'
import { Cluster } from '../../src/operator/cluster.ts'
import { trimEnded } from '../../src/operator/reaper/ended.ts'
import { CALLER, VirtualInstallation } from '../search/virtual-installation.ts'
import { LAG_MS, startWorld, type RuntimeWorld } from './world.ts'

const never = new AbortController().signal
const idOf = (index: number): string => `ended-session-${index}-`.padEnd(40, '0')

async function open(world: RuntimeWorld, runtime: AgentRuntime, index: number): Promise<void> {
  const { desk } = world.installation
  const entered = await world.installation.settle(desk.enter(world.target(runtime, 'DEFAULT'), CALLER, idOf(index), never), 60_000)
  if (entered.outcome !== 'entered') throw new Error(JSON.stringify(entered))
  entered.release()
}

async function stop(world: RuntimeWorld, runtime: AgentRuntime, index: number): Promise<void> {
  const { desk } = world.installation
  await world.installation.settle(desk.stop(world.target(runtime, 'DEFAULT'), CALLER, idOf(index), undefined), 10_000)
  await world.installation.advance(LAG_MS)
}

async function left(world: RuntimeWorld): Promise<number[]> {
  const { items } = await world.now(world.installation.admin.list(AGENT_SESSIONS))
  return items.map(({ spec }) => Number(spec.sessionId.split('-')[2])).toSorted((a, b) => a - b)
}

test('of the ended sessions of a runtime the newest ends stay, up to its limit; live ones and those of others are not counted', async (t) => {
  const world = await startWorld(t, 31)
  await world.create('echo', { limits: { ...DEFAULT_LIMITS, endedSessions: 2 } })
  await world.create('other', { limits: { ...DEFAULT_LIMITS, endedSessions: 1 } })
  const runtime = await world.settled('echo')
  const other = await world.settled('other')
  for (const index of [0, 1, 2, 3, 4]) await open(world, runtime, index)
  await open(world, other, 9)
  await stop(world, other, 9)
  for (const index of [3, 0]) await stop(world, runtime, index)
  assert.deepEqual(await left(world), [0, 1, 2, 3, 4, 9])
  await stop(world, runtime, 1)
  assert.deepEqual(await left(world), [0, 1, 2, 4, 9], '3 had ended first')

  await open(world, runtime, 0)
  await stop(world, runtime, 4)
  assert.deepEqual(await left(world), [0, 1, 2, 4, 9], '0 lives again')
  await world.change('echo', { limits: { endedSessions: 0 } })
  await world.installation.advance(LAG_MS)
  assert.deepEqual(await left(world), [0, 2, 9], 'a lowered limit holds for what is there')
  assert.deepEqual(world.installation.errors, [])
})

const OPEN = { namespace: 'default', spec: { runtimeRef: { name: 'echo', uid: 'uid-echo' }, endpoint: 'DEFAULT', sessionId: idOf(0) } }

function endedSession(name: string, endedAtMs: number): AgentSession {
  return {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name, namespace: OPEN.namespace, uid: `uid-${name}`, resourceVersion: '5' },
    spec: { ...OPEN.spec, owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' }, incarnation: 1, stopThrough: 1 },
    status: { incarnation: 1, phase: 'Terminated', endReason: 'Stopped', endedAt: new Date(endedAtMs).toISOString() },
  }
}

/** A cluster whose caches are filled by hand, and what it asked the API server. */
function cachedCluster(t: { after(end: () => void): void }, transport: Transport, endedSessions: number): { cluster: Cluster; env: Env } {
  const installation = new VirtualInstallation(32)
  t.after(() => installation.stop())
  const env = { ...installation.base('cached'), kubernetes: transport }
  const cluster = new Cluster(env)
  const spec = { artifact: {}, limits: { ...DEFAULT_LIMITS, endedSessions } }
  const metadata = { name: 'echo', namespace: 'default', uid: 'uid-echo', resourceVersion: '1' }
  cluster.runtimes.replaceAll(
    [{ apiVersion: 'carrel.dev/v1alpha1', kind: AGENT_RUNTIMES.kind, metadata, spec } as unknown as AgentRuntime],
    '1',
  )
  return { cluster, env }
}

test('of ten thousand ended sessions a pass takes fifty, the oldest first, and comes again soon', async (t) => {
  const deleted: string[] = []
  const transport: Transport = {
    request: async ({ method, path, body }: ApiRequest) => {
      assert.equal(method, 'DELETE')
      const name = path.split('/').at(-1)!
      assert.deepEqual((body as { preconditions: object }).preconditions, { uid: `uid-${name}`, resourceVersion: '5' })
      deleted.push(name)
      return { status: 200, headers: {}, body: {} }
    },
    watch: () => {
      throw new Error('nothing is watched here')
    },
  }
  const tools = cachedCluster(t, transport, 9_000)
  const nowMs = tools.env.clock.now()
  const sessions = Array.from({ length: 10_000 }, (_, index) => endedSession(`echo-${index}`, nowMs - 100_000 + ((index * 7_919) % 90_000)))
  tools.cluster.sessions.replaceAll(sessions, '10')
  const outcome = await trimEnded('default/echo', tools)
  assert.ok('againAfterMs' in outcome && outcome.againAfterMs <= 1_000)
  const oldest = sessions.toSorted((a, b) => (a.status!.endedAt! < b.status!.endedAt! ? -1 : 1)).map(({ metadata }) => metadata.name)
  assert.deepEqual(deleted, oldest.slice(0, 50))
})

test('what ended just now stays for those who wait for its end, whatever the limit', async (t) => {
  const requests: ApiRequest[] = []
  const transport: Transport = {
    request: async (request) => (requests.push(request), { status: 200, headers: {}, body: {} }),
    watch: () => {
      throw new Error('nothing is watched here')
    },
  }
  const tools = cachedCluster(t, transport, 0)
  const nowMs = tools.env.clock.now()
  tools.cluster.sessions.replaceAll([endedSession('fresh', nowMs - 500), endedSession('old', nowMs - 5_000)], '10')
  const outcome = await trimEnded('default/echo', tools)
  assert.ok('againAfterMs' in outcome, 'it comes again for the fresh one')
  assert.deepEqual(
    requests.map(({ path }) => path.split('/').at(-1)),
    ['old'],
  )
})

test('a session that was reopened while the cache was behind survives', async (t) => {
  const world = await startWorld(t, 33)
  await world.create('echo')
  const runtime = await world.settled('echo')
  for (const index of [0, 1]) {
    await open(world, runtime, index)
    await stop(world, runtime, index)
  }
  const { items: stale } = await world.now(world.installation.admin.list(AGENT_SESSIONS))
  await open(world, runtime, 0)

  const env = { ...world.installation.operator.env, kubernetes: world.installation.transport('operator', 'behind') }
  const cluster = new Cluster(env)
  cluster.runtimes.replaceAll([{ ...runtime, spec: { ...runtime.spec, limits: { ...DEFAULT_LIMITS, endedSessions: 0 } } }], '1')
  cluster.sessions.replaceAll(stale, '1')
  await world.installation.settle(trimEnded('default/echo', { cluster, env }), 10_000)
  await world.installation.advance(LAG_MS)
  assert.deepEqual(await left(world), [0], 'and the one that is still over went')
  const [survivor] = (await world.now(new KubeClient(env.kubernetes).list(AGENT_SESSIONS))).items
  assert.equal(survivor?.metadata.deletionTimestamp, undefined)
  assert.equal(survivor?.spec.incarnation, 2)
})
