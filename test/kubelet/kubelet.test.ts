import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVENTS } from '../../src/kube/events.ts'
import { TransportError } from '../../src/kube/errors.ts'
import { PODS } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { Bench, agentPod, conditionOf, stateOf, terminatedOf } from './kit.ts'

async function benchWith(pod = agentPod('a')): Promise<{ bench: Bench; uid: string }> {
  const bench = new Bench()
  await bench.start()
  const created = await bench.create(pod)
  return { bench, uid: created.metadata.uid! }
}

test('a pod is bound, started in its directory, and shown as running with its own address', async () => {
  const { bench, uid } = await benchWith()
  const pod = await bench.reach('a', 'Running')
  assert.equal(pod.spec?.nodeName, 'laptop')
  assert.equal(pod.status?.podIP, '127.1.0.1')
  assert.deepEqual(pod.status?.podIPs, [{ ip: '127.1.0.1' }])
  for (const type of ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready']) assert.equal(conditionOf(pod, type), 'True', type)
  assert.ok(stateOf(pod).running?.startedAt)
  assert.equal(pod.status?.containerStatuses?.[0]?.ready, true)
  const plan = bench.host.running.get(uid)!
  assert.equal(plan.directory, '/work/examples/hello')
  assert.deepEqual(plan.command, ['node', 'agent.ts'])
  assert.deepEqual(bench.host.log, ['prepare a', 'start a'])
})

test('an absolute code directory is taken as it is', async () => {
  const { bench, uid } = await benchWith(agentPod('a', { directory: '/elsewhere/agent' }))
  await bench.reach('a', 'Running')
  assert.equal(bench.host.running.get(uid)?.directory, '/elsewhere/agent')
})

test('an agent that exits by itself is reported with its code, and its files go', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.exit(uid, { exitCode: 3 })
  const pod = await bench.reach('a', 'Failed')
  const { exitCode, reason, startedAt, finishedAt } = terminatedOf(pod)
  assert.deepEqual([exitCode, reason], [3, 'Error'])
  assert.ok(startedAt && finishedAt)
  assert.equal(pod.status?.reason, undefined)
  assert.equal(conditionOf(pod, 'Ready'), 'False')
  assert.equal(bench.host.files.size, 0)
  assert.equal(bench.host.logs.size, 1, 'the log stays for those who ask why')
})

test('an agent that exits with 0 is Completed', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.exit(uid, { exitCode: 0 })
  assert.equal(terminatedOf(await bench.reach('a', 'Succeeded')).reason, 'Completed')
})

test('an agent that was killed by a signal says which', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.exit(uid, { exitCode: 139, signal: 11 })
  const { exitCode, signal } = terminatedOf(await bench.reach('a', 'Failed'))
  assert.deepEqual([exitCode, signal], [139, 11])
})

test('a deleted pod gets SIGTERM, then its object goes, with its files and its log', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  await bench.client.delete(PODS, 'default', 'a', { uid })
  await bench.until(async () => (await bench.find('a')) === undefined, 500)
  assert.deepEqual(bench.host.log.slice(2), ['SIGTERM a'])
  assert.deepEqual([bench.host.files.size, bench.host.logs.size, bench.host.running.size], [0, 0, 0])
})

test('an agent that ignores SIGTERM is killed when its grace is over, not before', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.ignoresSigterm = true
  const startMs = bench.clock.monotonic()
  await bench.client.delete(PODS, 'default', 'a', { uid })
  await bench.until(async () => (await bench.find('a')) === undefined)
  const tookMs = bench.clock.monotonic() - startMs
  assert.deepEqual(bench.host.log.slice(2), ['SIGTERM a', 'SIGKILL a'])
  assert.ok(tookMs >= 4_000 && tookMs < 4_100, `${tookMs} ms`)
})

test('the grace that the delete asks for wins over that of the pod', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.ignoresSigterm = true
  const startMs = bench.clock.monotonic()
  await bench.client.delete(PODS, 'default', 'a', { uid, gracePeriodSeconds: 1 })
  await bench.until(async () => (await bench.find('a')) === undefined)
  assert.ok(bench.clock.monotonic() - startMs < 1_100)
})

test('a second, more urgent delete shortens the grace of the first', async () => {
  const { bench, uid } = await benchWith(agentPod('a', { spec: { terminationGracePeriodSeconds: 60 } }))
  await bench.reach('a', 'Running')
  bench.host.ignoresSigterm = true
  await bench.client.delete(PODS, 'default', 'a', { uid })
  await bench.until(() => bench.host.log.includes('SIGTERM a'))
  await bench.client.delete(PODS, 'default', 'a', { uid, gracePeriodSeconds: 1 })
  await bench.until(async () => (await bench.find('a')) === undefined, 2_000)
})

test('a pod that is deleted by force leaves no process', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  await bench.client.delete(PODS, 'default', 'a', { uid, gracePeriodSeconds: 0 })
  await bench.until(() => bench.host.running.size === 0 && bench.host.files.size === 0 && bench.host.logs.size === 0, 500)
})

test('activeDeadlineSeconds ends the pod as DeadlineExceeded', async () => {
  const { bench } = await benchWith(agentPod('a', { spec: { activeDeadlineSeconds: 30 } }))
  const startMs = bench.clock.monotonic()
  await bench.until(async () => (await bench.find('a'))?.status?.phase === 'Failed', 40_000)
  const pod = (await bench.find('a'))!
  assert.equal(pod.status?.reason, 'DeadlineExceeded')
  assert.ok(bench.clock.monotonic() - startMs >= 30_000)
  assert.deepEqual(bench.host.log.slice(2), ['SIGTERM a'])
})

test('a command that does not exist is a StartError that says what to do, and nothing stays', async () => {
  const bench = new Bench()
  bench.host.failure = { failed: 'CommandNotFound', message: 'the command "pyhton" was not found' }
  await bench.start()
  await bench.create(agentPod('a'))
  const pod = await bench.reach('a', 'Failed')
  const { exitCode, reason, message } = terminatedOf(pod)
  assert.deepEqual([exitCode, reason, message], [128, 'StartError', 'the command "pyhton" was not found'])
  assert.equal(bench.host.files.size, 0)
  await bench.until(async () => (await notesOf(bench)).some((note) => note.includes('pyhton')))
})

test('a missing directory is told without starting anything', async () => {
  const bench = new Bench()
  bench.host.refusal = { failed: 'DirectoryMissing', message: 'the code directory /work/x does not exist' }
  await bench.start()
  await bench.create(agentPod('a'))
  assert.match(terminatedOf(await bench.reach('a', 'Failed')).message ?? '', /does not exist/)
  assert.deepEqual(bench.host.log, ['prepare a'])
})

test('a host that breaks fails the pod instead of trying for ever', async () => {
  const bench = new Bench()
  bench.host.nextAddress = () => Promise.reject(new Error('every loopback address was given'))
  await bench.start()
  await bench.create(agentPod('a'))
  assert.match(terminatedOf(await bench.reach('a', 'Failed')).message ?? '', /every loopback address/)
})

for (const [what, pod, reason] of [
  ['has no code', agentPod('a', { directory: undefined }), 'NoCode'],
  ['has no command', agentPod('a', { command: [] }), 'NoCommand'],
  [
    'takes its environment from elsewhere',
    agentPod('a', { env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
    'CreateContainerConfigError',
  ],
] as const) {
  test(`a pod that ${what} fails with ${reason}`, async () => {
    const { bench } = await benchWith(pod)
    const failed = await bench.reach('a', 'Failed')
    assert.equal(failed.status?.reason, reason)
    assert.ok(failed.status?.message)
    assert.deepEqual(bench.host.log, [])
  })
}

test('an agent that listens off the loopback is ended at once, and status and event name the socket', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.offLoopback = [{ podUID: uid, protocol: 'tcp', address: '0:0:0:0:0:0:0:0', port: 9999, pid: 7 }]
  await bench.until(() => bench.host.running.size === 0, 200)
  bench.host.offLoopback = []
  const pod = await bench.reach('a', 'Failed')
  assert.equal(pod.status?.reason, 'ListensOffLoopback')
  const { reason, message } = terminatedOf(pod)
  assert.equal(reason, 'ListensOffLoopback')
  assert.match(message ?? '', /\[0:0:0:0:0:0:0:0\]:9999/)
  assert.deepEqual(bench.host.log.slice(2), ['SIGKILL a'], 'no grace: it can be reached')
  await bench.until(async () => (await notesOf(bench)).some((note) => note.includes('9999')))
})

test('pods of a kubelet that crashed are lost, not continued: their processes are gone, the object says KubeletRestarted', async () => {
  const bench = new Bench()
  const crashed: Transport = {
    request: (request) => (dead ? new Promise(() => {}) : bench.transport.request(request)),
    watch: (request) => stopsWhen(() => dead, bench.transport.watch(request)),
  }
  let dead = false
  await bench.start(crashed)
  const { uid } = (await bench.create(agentPod('a'))).metadata
  await bench.reach('a', 'Running')
  dead = true
  bench.runKubelet()
  const pod = await bench.reach('a', 'Failed')
  assert.equal(pod.status?.reason, 'KubeletRestarted')
  assert.equal(terminatedOf(pod).exitCode, 137)
  assert.equal(bench.host.running.has(uid!), false)
  assert.deepEqual(bench.host.log, ['prepare a', 'start a', 'SIGKILL a'])
})

test('what a crashed kubelet left of a pod that is gone is removed, log and all', async () => {
  const bench = new Bench()
  bench.host.files.add('of-long-ago')
  bench.host.logs.add('of-long-ago')
  await bench.start()
  await bench.until(() => bench.host.files.size === 0 && bench.host.logs.size === 0)
})

test('a status write without an answer is made again, and the agent is not started twice', async () => {
  const bench = new Bench()
  let failures = 3
  const lossy: Transport = {
    request: (request) => {
      if (request.method === 'PATCH' && request.path.endsWith('/status') && failures-- > 0)
        return Promise.reject(new TransportError('reset'))
      return bench.transport.request(request)
    },
    watch: (request) => bench.transport.watch(request),
  }
  await bench.start(lossy)
  await bench.create(agentPod('a'))
  await bench.reach('a', 'Running')
  assert.ok(failures <= 0)
  assert.deepEqual(bench.host.log, ['prepare a', 'start a'])
})

test('another pod of the same name is never taken for the one before', async () => {
  const { bench, uid } = await benchWith()
  await bench.reach('a', 'Running')
  await bench.client.delete(PODS, 'default', 'a', { uid, gracePeriodSeconds: 0 })
  const second = await bench.create(agentPod('a'))
  const pod = await bench.reach('a', 'Running')
  assert.equal(pod.metadata.uid, second.metadata.uid)
  assert.equal(pod.status?.podIP, '127.1.0.2', 'an address is given once')
  await bench.until(() => !bench.host.running.has(uid))
})

test('a pod that is bound to another node is left alone', async () => {
  const { bench } = await benchWith(agentPod('a', { spec: { nodeName: 'another' } }))
  await bench.clock.run(bench.clock.monotonic() + 1_000)
  assert.deepEqual(bench.host.log, [])
})

test('when the kubelet is told to stop, agents get SIGTERM, then SIGKILL, and their pods say why', async () => {
  const { bench } = await benchWith()
  await bench.reach('a', 'Running')
  bench.host.ignoresSigterm = true
  const startMs = bench.clock.monotonic()
  await bench.stopKubelet()
  const tookMs = bench.clock.monotonic() - startMs
  assert.ok(tookMs < 5_000, `${tookMs} ms`)
  assert.deepEqual(bench.host.log.slice(2), ['SIGTERM a', 'SIGKILL a'])
  assert.equal(bench.host.files.size, 0)
  assert.equal((await bench.find('a'))?.status?.reason, 'NodeShutdown')
})

async function notesOf(bench: Bench): Promise<string[]> {
  const { items } = await bench.client.list(EVENTS, { namespace: 'default' })
  return items.map(({ note }) => note)
}

/** A watch of a process that stops living: it yields no more. */
async function* stopsWhen<Item>(stopped: () => boolean, items: AsyncIterable<Item>): AsyncIterable<Item> {
  for await (const item of items) {
    if (stopped()) await new Promise(() => {})
    yield item
  }
}
