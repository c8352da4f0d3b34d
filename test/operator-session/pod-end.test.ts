import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Pod } from '../../src/kube/objects.ts'
import { judgedPart } from '../../src/operator/cluster.ts'
import { explained } from '../../src/operator/session/last-log.ts'
import { endingOfPod } from '../../src/operator/session/pod-end.ts'
import { containerStatus, podOf, type ContainerStatus } from './pods.ts'

type Status = NonNullable<Pod['status']>
type Terminated = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>

function exited(terminated: Terminated, status: Status = {}): Pod {
  const running = containerStatus('meter', { running: { startedAt: '2026-11-24T08:00:00Z' } })
  return judgedPart(podOf({ phase: 'Running', containerStatuses: [containerStatus('agent', { terminated }), running], ...status }))
}

function evicted(message: string): Pod {
  return exited({ exitCode: 137, reason: 'Error' }, { phase: 'Failed', reason: 'Evicted', message })
}

function disrupted(reason: string): Pod {
  const conditions = [{ type: 'DisruptionTarget', status: 'True', reason, message: 'x' }]
  return judgedPart(podOf({ phase: 'Running', conditions }, { deletionTimestamp: '2026-11-24T08:00:04Z' }))
}

const ends = (pod: Pod, started = true) => endingOfPod(pod, { started, memoryLimit: () => '256Mi' })

describe('how a pod that ran has ended', () => {
  test('memory past its limit: OutOfMemory, with the limit and the field that raises it', () => {
    for (const started of [true, false]) {
      const ending = ends(exited({ exitCode: 137, reason: 'OOMKilled' }), started)
      assert.equal(ending?.reason, 'OutOfMemory')
      assert.match(ending.message, /limit of 256Mi.*spec\.resources\.limits\.memory/)
      assert.equal(/before it answered/.test(ending.message), !started)
    }
  })

  test('an exit: AgentExited once it had answered, StartFailed before', () => {
    assert.deepEqual(ends(exited({ exitCode: 3, reason: 'Error' })), { reason: 'AgentExited', message: 'the agent exited with code 3' })
    assert.deepEqual(ends(exited({ exitCode: 3, reason: 'Error' }), false), {
      reason: 'StartFailed',
      message: 'the agent exited with code 3, before it answered GET /ping',
    })
    assert.match(ends(exited({ exitCode: 137, reason: 'Error' }))!.message, /code 137 \(signal 9\)/)
    assert.match(ends(exited({ exitCode: 127, reason: 'Error' }), false)!.message, /not in the image/)
    const runc = 'failed to create containerd task: OCI runtime create failed: exec: "agent": executable file not found in $PATH'
    assert.match(ends(exited({ exitCode: 128, reason: 'StartError', message: runc }), false)!.message, /executable file not found/)
  })

  test('a meter that exits, or an agent that is still running, ends nothing', () => {
    const meter = containerStatus('meter', { terminated: { exitCode: 1, reason: 'Error' } })
    const agent = containerStatus('agent', { running: {} })
    assert.equal(ends(judgedPart(podOf({ phase: 'Running', podIP: '10.0.0.9', containerStatuses: [agent, meter] }))), undefined)
  })

  test("kubelet's evictions: StorageExceeded when the pod wrote too much, Evicted when its node is short of something", () => {
    const storage = [
      'Pod ephemeral local storage usage exceeds the total limit of containers 32Mi. ',
      'Container agent exceeded its local ephemeral storage limit "32Mi". ',
      'Usage of EmptyDir volume "scratch" exceeds the limit "16Mi". ',
    ]
    for (const message of storage) {
      const ending = ends(evicted(message))
      assert.equal(ending?.reason, 'StorageExceeded', message)
      assert.match(ending.message, /spec\.resources\.limits/)
    }
    const node = [
      'The node was low on resource: memory. Threshold quantity: 100Mi, available: 51Mi. Container agent was using 300Mi, request is 256Mi, has larger consumption of memory. ',
      'The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. ',
      'The node had condition: [DiskPressure]. ',
    ]
    for (const message of node) assert.equal(ends(evicted(message))?.reason, 'Evicted', message)
  })

  test('who deleted it tells Evicted, NodeLost and PodLost apart', () => {
    const reasons = {
      EvictionByEvictionAPI: 'Evicted',
      PreemptionByScheduler: 'Evicted',
      DeletionByTaintManager: 'Evicted',
      DeletionByPodGC: 'NodeLost',
      SomethingNew: 'PodLost',
    }
    for (const [disruption, reason] of Object.entries(reasons)) assert.equal(ends(disrupted(disruption))?.reason, reason, disruption)
    assert.equal(ends(judgedPart(podOf({ phase: 'Running' }, { deletionTimestamp: '2026-11-24T08:00:04Z' })))?.reason, 'PodLost')
  })

  test('by the word of its node', () => {
    const byNode = (reason: string, message = 'x') => ends(judgedPart(podOf({ phase: 'Failed', reason, message })), false)?.reason
    assert.equal(byNode('Terminated', 'Pod was terminated in response to imminent node shutdown.'), 'Evicted')
    assert.equal(byNode('Preempting', 'Preempted in order to admit critical pod'), 'Evicted')
    assert.equal(
      byNode('OutOfmemory', "Pod was rejected: Node didn't have enough resource: memory, requested: 1, used: 2, capacity: 2"),
      'Unschedulable',
    )
    assert.equal(byNode('NodeAffinity', 'Pod was rejected: Predicate NodeAffinity failed'), 'Unschedulable')
    assert.equal(byNode('DeadlineExceeded'), 'MaxLifetime')
    assert.equal(byNode('KubeletRestarted'), 'PodLost')
  })
})

describe("what the agent's last words explain", () => {
  const crash = { reason: 'StartFailed', message: 'the agent exited with code 255, before it answered GET /ping' } as const
  const inContainer = { started: false, user: 1000 }

  test('an image for another processor', () => {
    for (const line of [
      'exec /usr/local/bin/python: exec format error',
      'standard_init_linux.go:228: exec user process caused: exec format error',
    ])
      assert.equal(explained({ ...crash, lastLog: [line] }, inContainer).reason, 'WrongArchitecture')
    const tool = ["OSError: [Errno 8] Exec format error: './tool'"]
    assert.equal(explained({ ...crash, lastLog: tool }, inContainer).reason, 'StartFailed')
    const line = ['exec /usr/local/bin/python: exec format error']
    assert.equal(explained({ ...crash, lastLog: line }, { started: true, user: 1000 }).reason, 'StartFailed', 'it has run')
  })

  test('what its user may not do: the field that allows it, and none of its words', () => {
    for (const line of ["Error: EACCES: permission denied, open '/data/key-17'", 'mkdir: cannot create directory: Permission denied']) {
      const { message } = explained({ ...crash, lastLog: [line] }, inContainer)
      assert.match(message, /runs as user 1000 \(spec\.securityContext\.runAsUser\).*runAsUser: 0.*baseline/)
      assert.doesNotMatch(message, /key-17|mkdir/)
    }
    assert.deepEqual(explained({ ...crash, lastLog: ['out of luck'] }, inContainer).message, crash.message)
    const onLaptop = explained({ ...crash, lastLog: ['EACCES'] }, { started: false, user: undefined })
    assert.equal(onLaptop.message, crash.message, 'a process has the rights of whoever started it')
  })
})
