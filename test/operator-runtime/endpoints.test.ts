import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { Entered } from '../../src/gateway/session-port.ts'
import type { ControllerRevision, Pod } from '../../src/kube/objects.ts'
import { CONTROLLER_REVISIONS, PODS } from '../../src/kube/resource.ts'
import { CALLER, SESSION_ID } from '../search/virtual-installation.ts'
import { LAG_MS, NAMESPACES, jwtOf, startWorld, type RuntimeWorld } from './world.ts'

const never = new AbortController().signal
const stage = (value: string): { name: string; value: string }[] => [{ name: 'STAGE', value }]

/** Version 1 says `first`, version 2 `second`, and endpoint prod is pinned to 1. */
async function twoVersions(world: RuntimeWorld): Promise<AgentRuntime> {
  await world.create('echo', {
    environment: stage('first'),
    lifecycle: { idleTimeoutSeconds: 100, maxLifetimeSeconds: 1_000, stopGraceSeconds: 4 },
    authorizer: { customJWT: jwtOf('https://one.example', 'first') },
    requestHeaders: { allow: ['X-First'] },
    startTimeoutSeconds: 11,
  })
  await world.settled('echo')
  await world.change('echo', {
    environment: stage('second'),
    lifecycle: { idleTimeoutSeconds: 200, maxLifetimeSeconds: 2_000 },
    authorizer: null,
    requestHeaders: null,
    startTimeoutSeconds: 22,
    endpoints: [{ name: 'prod', version: 1 }],
  })
  return world.settled('echo')
}

async function enter(world: RuntimeWorld, runtime: AgentRuntime, endpoint: string): Promise<Extract<Entered, { outcome: 'entered' }>> {
  const entered = await world.installation.settle(
    world.installation.desk.enter(world.target(runtime, endpoint), CALLER, SESSION_ID, never),
    60_000,
  )
  if (entered.outcome !== 'entered') throw new Error(JSON.stringify(entered))
  return entered
}

async function sessionOf(world: RuntimeWorld, endpoint: string): Promise<AgentSession> {
  const { items } = await world.now(world.installation.admin.list(AGENT_SESSIONS))
  return items.find(({ spec }) => spec.endpoint === endpoint)!
}

async function stageOf(world: RuntimeWorld, session: AgentSession): Promise<string | undefined> {
  const pod = await world.now(world.installation.admin.get<Pod>(PODS, 'default', session.status!.podName!))
  return pod.spec?.containers[0]?.env?.find(({ name }) => name === 'STAGE')?.value
}

test('a named endpoint is pinned beside DEFAULT: one session id opens a pod of each, of its own version and lifecycle', async (t) => {
  const world = await startWorld(t, 1)
  const runtime = await twoVersions(world)
  assert.deepEqual(runtime.status?.endpoints, [
    { name: 'DEFAULT', version: 2 },
    { name: 'prod', version: 1 },
  ])
  const pods = [await enter(world, runtime, 'DEFAULT'), await enter(world, runtime, 'prod')].map(({ pod }) => pod.uid)
  assert.notEqual(pods[0], pods[1])
  const [latest, pinned] = [await sessionOf(world, 'DEFAULT'), await sessionOf(world, 'prod')]
  assert.deepEqual(
    [latest, pinned].map(({ status }) => [status?.version, status?.idleTimeoutSeconds, status?.startTimeoutSeconds]),
    [
      [2, 200, 22],
      [1, 100, 11],
    ],
  )
  assert.equal(Date.parse(pinned.status!.expiresAt!) - Date.parse(pinned.status!.startedAt!), 1_000_000)
  assert.deepEqual([await stageOf(world, latest), await stageOf(world, pinned)], ['second', 'first'])
})

test('calls are judged by the version of their endpoint, DEFAULT by the spec even before its version is made', async (t) => {
  const world = await startWorld(t, 2)
  const runtime = await twoVersions(world)
  assert.deepEqual(world.target(runtime, 'prod').policy, {
    authorizer: { customJWT: jwtOf('https://one.example', 'first') },
    allowedHeaders: ['X-First'],
    startTimeoutSeconds: 11,
  })
  assert.deepEqual(world.target(runtime, 'DEFAULT').policy, { allowedHeaders: [], startTimeoutSeconds: 22 })

  world.installation.operator.kill()
  await world.change('echo', { requestHeaders: { allow: ['X-Third'] } })
  await world.installation.advance(LAG_MS)
  assert.deepEqual(world.target(runtime, 'DEFAULT').policy.allowedHeaders, ['X-Third'])
})

test('a live session keeps its version over a repin, is judged by the new one at once, and its next incarnation runs it', async (t) => {
  const world = await startWorld(t, 3)
  const runtime = await twoVersions(world)
  const first = await enter(world, runtime, 'prod')
  await world.change('echo', { endpoints: [{ name: 'prod', version: 2 }] })
  await world.settled('echo')
  assert.deepEqual(world.target(runtime, 'prod').policy, { allowedHeaders: [], startTimeoutSeconds: 22 })
  assert.equal((await enter(world, runtime, 'prod')).pod.uid, first.pod.uid)
  assert.equal((await sessionOf(world, 'prod')).status?.version, 1)

  const stopped = world.installation.desk.stop(world.target(runtime, 'prod'), CALLER, SESSION_ID, undefined)
  assert.equal(await world.installation.settle(stopped, 10_000), 'stopped')
  await enter(world, runtime, 'prod')
  const session = await sessionOf(world, 'prod')
  assert.deepEqual([session.spec.incarnation, session.status?.version, await stageOf(world, session)], [2, 2, 'second'])
})

test('an endpoint whose version does not exist is no endpoint, says so, leaves DEFAULT alone, and comes with its version', async (t) => {
  const world = await startWorld(t, 4)
  await world.create('echo', {
    endpoints: [
      { name: 'prod', version: 3 },
      { name: 'test', version: 1 },
    ],
  })
  const runtime = await world.settled('echo')
  assert.deepEqual(runtime.status?.endpoints, [
    { name: 'DEFAULT', version: 1 },
    { name: 'test', version: 1 },
  ])
  const { status, reason, message } = (await world.condition('echo', 'EndpointsResolved'))!
  assert.deepEqual(
    [status, reason, message],
    ['False', 'VersionNotFound', 'endpoint prod names version 3, which does not exist: the latest is 1'],
  )
  assert.equal((await world.condition('echo', 'Ready'))?.status, 'True')
  assert.equal(world.find(runtime, 'prod'), 'NoSuchEndpoint')
  assert.equal(world.find(runtime, 'nobody'), 'NoSuchEndpoint')
  assert.equal(world.target(runtime, 'test').endpoint, 'test')

  for (const value of ['second', 'third']) {
    await world.change('echo', { environment: stage(value) })
    await world.settled('echo')
  }
  assert.equal((await world.condition('echo', 'EndpointsResolved'))?.status, 'True')
  assert.equal(world.target(runtime, 'prod').endpoint, 'prod')
  const events = await world.events('echo')
  assert.deepEqual(
    events.filter((event) => !event.endsWith('VersionCreated')),
    ['Warning VersionNotFound', 'Normal Resolved'],
  )

  await world.change('echo', { endpoints: null })
  assert.equal(await world.condition('echo', 'EndpointsResolved'), undefined, 'with no named endpoint there is nothing to say')
  assert.equal(world.find(runtime, 'prod'), 'NoSuchEndpoint')
})

test('a revision counts only under its name, in the namespace and under the control of its runtime', async (t) => {
  const world = await startWorld(t, 5)
  await world.create('echo', { endpoints: [{ name: 'prod', version: 7 }] })
  const runtime = await world.settled('echo')
  const { items } = await world.now(world.installation.admin.list<ControllerRevision>(CONTROLLER_REVISIONS))
  const [real] = items as [ControllerRevision<object>]
  const [owner] = real.metadata.ownerReferences!
  await world.now(world.installation.admin.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } }))
  const forged = (metadata: object): ControllerRevision => ({
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'echo-v7', namespace: 'default', labels: real.metadata.labels!, ownerReferences: [owner!], ...metadata },
    revision: 7,
    data: { ...real.data, requestHeaders: { allow: ['X-Forged'] } },
  })
  const { controller: _, ...notInControl } = owner!
  const other = await world.create('other')
  const attempts = {
    'in another namespace': forged({ namespace: 'elsewhere' }),
    'under another name': forged({ name: 'mine-v7' }),
    'owned, not controlled': forged({ ownerReferences: [notInControl] }),
    'of another runtime': forged({ ownerReferences: [{ ...owner!, name: 'other', uid: other.metadata.uid! }] }),
  }
  for (const [what, attempt] of Object.entries(attempts)) {
    const made = await world.now(world.installation.admin.create(CONTROLLER_REVISIONS, attempt))
    await world.installation.advance(LAG_MS)
    assert.equal(world.find(runtime, 'prod'), 'NoSuchEndpoint', what)
    const { status } = await world.settled('echo')
    assert.deepEqual([status?.latestVersion, status?.endpoints?.length], [1, 1], what)
    await world.remove(CONTROLLER_REVISIONS, made)
  }
  await world.now(world.installation.admin.create(CONTROLLER_REVISIONS, forged({})))
  await world.installation.advance(LAG_MS)
  assert.deepEqual(world.target(runtime, 'prod').policy.allowedHeaders, ['X-Forged'], 'all of them had been right but for that')
})

test('who squats on the name of the next version is told of, and the version comes when the squatter goes', async (t) => {
  const world = await startWorld(t, 8)
  await world.create('echo')
  await world.settled('echo')
  const metadata = { name: 'echo-v2', namespace: 'default' }
  const squatter = { apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata, revision: 2, data: {} }
  const made = await world.now(world.installation.admin.create(CONTROLLER_REVISIONS, squatter))
  await world.change('echo', { environment: stage('second') })
  const accepted = await world.condition('echo', 'Accepted')
  assert.deepEqual([accepted?.status, accepted?.reason], ['False', 'VersionNameTaken'])
  assert.match(accepted!.message, /^ControllerRevision default\/echo-v2 is not of this runtime: delete it/)
  assert.deepEqual((await world.get('echo')).status?.endpoints, [{ name: 'DEFAULT', version: 1 }])
  await world.remove(CONTROLLER_REVISIONS, made)
  await world.installation.advance(LAG_MS)
  const runtime = await world.settled('echo')
  assert.equal(runtime.status?.latestVersion, 2)
  assert.deepEqual(
    runtime.status?.conditions?.map(({ type, status }) => `${type} ${status}`),
    ['Accepted True', 'Ready True'],
  )
})

test('what a runtime of the same name left behind is no version of its successor', async (t) => {
  const world = await startWorld(t, 6)
  const before = await twoVersions(world)
  world.installation.operator.kill() // nobody mints anew: the gateway is on its own
  await world.remove(AGENT_RUNTIMES, before)
  await world.installation.advance(LAG_MS)
  const after = await world.create('echo', { endpoints: [{ name: 'prod', version: 1 }] })
  await world.installation.advance(LAG_MS)
  assert.equal(world.find(after, 'prod'), 'NoSuchEndpoint')
  assert.equal(world.find(before, 'DEFAULT'), undefined)
})

test('a session whose endpoint went before it was opened ends, and says so', async (t) => {
  const world = await startWorld(t, 7)
  const runtime = await twoVersions(world)
  world.installation.operator.kill()
  const call = world.installation.desk.enter(world.target(runtime, 'prod'), CALLER, SESSION_ID, never)
  await world.installation.advance(LAG_MS)
  await world.change('echo', { endpoints: [] })
  world.installation.startOperator()
  const entered = await world.installation.settle(call, 60_000)
  assert.deepEqual(entered, {
    outcome: 'failed',
    reason: 'StartFailed',
    message: 'endpoint prod was removed from AgentRuntime echo',
    lastLog: [],
  })
})
