/** What a caller hears of a start that fails, and when; on the virtual clock, with kubelet's statuses written by hand. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { EVENTS } from '../../src/kube/events.ts'
import { startHandKubelet, type Call, type HandKubelet } from './hand-kubelet.ts'
import { containerStatus } from './pods.ts'

/** From knowable to told. */
const TOLD_WITHIN_MS = 2_000
/** Now and then a watch of the virtual world is so far behind: kubelet's word to the operator, and the operator's to the gateway. */
const LAG_MS = 2 * 4_000
const NOT_FOUND =
  'rpc error: code = NotFound desc = failed to pull and unpack image "acme/echo:1": failed to resolve reference "acme/echo:1": acme/echo:1: not found'

/** The caller's answer, the record's, its condition and its event are the same story. */
async function tells(kubelet: HandKubelet, call: Call, reason: string, message: RegExp): Promise<void> {
  const entered = await kubelet.answered(call)
  assert.equal(entered.outcome, 'failed', JSON.stringify(entered))
  assert.equal(entered.reason, reason)
  assert.match(entered.message, message)
  const { status, metadata } = await kubelet.session()
  assert.equal(status?.endReason, reason)
  assert.match(status.endMessage!, message)
  const ready = status.conditions?.find(({ type }) => type === 'Ready')
  assert.deepEqual([ready?.status, ready?.reason], ['False', reason])
  await kubelet.installation.advance(1_000)
  const { items } = await kubelet.now(kubelet.installation.admin.list(EVENTS))
  const event = items.find(({ regarding, reason: why }) => regarding.uid === metadata.uid && why === reason)
  assert.equal(event?.type, 'Warning')
  assert.match(event.note, message)
}

async function opening(t: TestContext, seed: number): Promise<{ kubelet: HandKubelet; call: Call }> {
  const kubelet = await startHandKubelet(t, seed)
  return { kubelet, call: kubelet.call() }
}

test('an image that is not there: told within 2 s of kubelet knowing it; the pod goes', async (t) => {
  const { kubelet, call } = await opening(t, 1)
  const pod = await kubelet.scheduled()
  const knownAtMs = await kubelet.agent(pod, { waiting: { reason: 'ErrImagePull', message: NOT_FOUND } })
  await tells(kubelet, call, 'ImageNotFound', /there is no image .*spec\.artifact\.container\.image/)
  assert.ok(call.atMs! - knownAtMs < TOLD_WITHIN_MS, `${call.atMs! - knownAtMs} ms`)
  assert.equal((await kubelet.session()).status?.phase, 'Terminating', 'the call does not wait for the pod to go')
  assert.equal((await kubelet.pods()).length, 0)
})

test('a registry that was away for a moment costs the call nothing but time', async (t) => {
  const { kubelet, call } = await opening(t, 2)
  const pod = await kubelet.scheduled()
  await kubelet.agent(pod, { waiting: { reason: 'ErrImagePull', message: 'dial tcp 10.9.9.9:443: i/o timeout' } })
  await kubelet.installation.advance(20_000)
  await kubelet.running()
  assert.equal((await kubelet.answered(call)).outcome, 'entered')
})

test('a node without the runtime handler: only an event says so, and the call hears of it within 2 s', async (t) => {
  const { kubelet, call } = await opening(t, 3)
  const pod = await kubelet.scheduled()
  for (const afterMs of [300, 7_000]) {
    await kubelet.installation.advance(afterMs)
    if (afterMs === 300) await kubelet.event(pod, 'Scheduled', 'Successfully assigned default/echo to hand')
  }
  const note =
    'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata" is configured'
  const knownAtMs = await kubelet.event(pod, 'FailedCreatePodSandBox', note)
  await kubelet.ended('RuntimeClassMissing')
  const writtenAtMs = kubelet.nowMs
  await kubelet.gone(pod)
  await tells(kubelet, call, 'RuntimeClassMissing', /no runtime handler kata: .*spec\.runtimeClassName/)
  assert.ok(writtenAtMs - knownAtMs < TOLD_WITHIN_MS, `${writtenAtMs - knownAtMs} ms`)
  assert.ok(call.atMs! - knownAtMs < TOLD_WITHIN_MS + LAG_MS, `${call.atMs! - knownAtMs} ms`)
})

test('no room on any node: patience for an autoscaler until startTimeoutSeconds, then Unschedulable', async (t) => {
  const { kubelet, call } = await opening(t, 4)
  const beganAtMs = kubelet.nowMs
  const pod = await kubelet.unscheduled()
  const message = '0/1 nodes are available: 1 Insufficient memory.'
  await kubelet.status(pod, { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] })
  await kubelet.installation.advance(40_000)
  assert.equal(call.entered, undefined)
  await tells(kubelet, call, 'Unschedulable', /not started within 45 s .*spec\.resources.*1 Insufficient memory/)
  assert.ok(call.atMs! - beganAtMs < 45_000 + TOLD_WITHIN_MS + LAG_MS)
  assert.equal((await kubelet.pods()).length, 0, 'the pod was taken back')
})

test('memory that is not enough to start with: the call is told so, and no second pod is made for it', async (t) => {
  const { kubelet, call } = await opening(t, 5)
  const pod = await kubelet.scheduled()
  await kubelet.status(pod, { phase: 'Running', podIP: '10.0.0.77' })
  await kubelet.agent(pod, { terminated: { exitCode: 137, reason: 'OOMKilled' } })
  await kubelet.ended('OutOfMemory')
  await kubelet.gone(pod)
  await tells(kubelet, call, 'OutOfMemory', /before it answered GET \/ping.*spec\.resources\.limits\.memory/)
  assert.equal((await kubelet.session()).spec.incarnation, 1)
})

test('a session that ran and ran out of memory opens its next incarnation with the next call', async (t) => {
  const { kubelet, call } = await opening(t, 6)
  const pod = await kubelet.running()
  const first = await kubelet.answered(call)
  assert.equal(first.outcome, 'entered')
  await kubelet.installation.advance(3_000)
  await kubelet.agent(pod, { terminated: { exitCode: 137, reason: 'OOMKilled' } })
  await kubelet.ended('OutOfMemory')
  const next = kubelet.call()
  await kubelet.gone(pod)
  const second = await kubelet.running()
  const entered = await kubelet.answered(next)
  assert.equal(entered.outcome, 'entered')
  assert.equal(entered.pod.uid, second.metadata.uid)
  assert.equal((await kubelet.session()).status?.incarnation, 2)
})

test('a call that comes between the end of memory and the word of it is no start that failed: it opens the next incarnation', async (t) => {
  const { kubelet, call } = await opening(t, 7)
  const pod = await kubelet.running()
  const first = await kubelet.answered(call)
  assert.equal(first.outcome, 'entered')
  await kubelet.installation.advance(10_000)
  await kubelet.now(kubelet.installation.host.signal(pod.metadata.uid!)) // its port refuses from now on
  first.release(true)
  const between = kubelet.call()
  await kubelet.installation.advance(300)
  await kubelet.agent(pod, { terminated: { exitCode: 137, reason: 'OOMKilled' } })
  await kubelet.ended('OutOfMemory')
  await kubelet.gone(pod)
  const second = await kubelet.running()
  const entered = await kubelet.answered(between)
  assert.equal(entered.outcome === 'entered' && entered.pod.uid, second.metadata.uid)
})

test('a meter that ends: what is open goes on, then the session ends, and the next call opens another pod', async (t) => {
  const { kubelet, call } = await opening(t, 8)
  const pod = await kubelet.running()
  const first = await kubelet.answered(call)
  assert.equal(first.outcome, 'entered')
  await kubelet.installation.advance(3_000)
  const terminated = { exitCode: 137, reason: 'OOMKilled' }
  await kubelet.status(pod, { containerStatuses: [containerStatus('agent', { running: {} }), containerStatus('meter', { terminated })] })
  await kubelet.installation.advance(30_000)
  assert.equal((await kubelet.session()).status?.phase, 'Running', 'a call is open on it')
  first.release()
  await kubelet.ended('Unhealthy')
  assert.match((await kubelet.session()).status!.endMessage!, /meter beside the agent is gone \(OOMKilled, exit code 137\)/)
  const next = kubelet.call()
  await kubelet.gone(pod)
  const second = await kubelet.running()
  const entered = await kubelet.answered(next)
  assert.equal(entered.outcome === 'entered' && entered.pod.uid, second.metadata.uid)
})
