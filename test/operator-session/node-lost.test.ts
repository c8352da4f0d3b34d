/** Design rule 2 where a node falls silent: the pod's object lingers, and its session goes on elsewhere; on the virtual clock. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Pod } from '../../src/kube/objects.ts'
import { PODS } from '../../src/kube/resource.ts'
import { CALLER, SESSION_ID } from '../search/virtual-installation.ts'
import { startHandKubelet, type HandKubelet } from './hand-kubelet.ts'

const GRACE_MS = 4_000
const OVERDUE_MS = 5_000
/** Rounding of timestamps to seconds, lag of watches, and the operator's own looks. */
const SLACK_MS = 8_000

async function running(t: TestContext, seed: number): Promise<{ kubelet: HandKubelet; pod: Pod }> {
  const kubelet = await startHandKubelet(t, seed)
  const call = kubelet.call()
  const pod = await kubelet.running()
  const entered = await kubelet.answered(call)
  assert.equal(entered.outcome, 'entered')
  entered.release()
  await kubelet.installation.advance(10_000)
  assert.equal((await kubelet.session()).status?.phase, 'Running')
  return { kubelet, pod }
}

/** What the API server still holds of it. */
async function lingers(kubelet: HandKubelet, pod: Pod): Promise<boolean> {
  return (await kubelet.now(kubelet.installation.admin.find(PODS, 'default', pod.metadata.name)))?.metadata.uid === pod.metadata.uid
}

for (const seed of [1, 2, 3])
  test(`seed ${seed}: a node that has fallen silent: NodeLost, and the next incarnation opens while the pod's object lingers`, async (t) => {
    const { kubelet, pod } = await running(t, seed)
    await kubelet.node('Unknown')
    await kubelet.disrupt(pod, 'DeletionByTaintManager')
    const deletedAtMs = kubelet.nowMs
    const { status } = await kubelet.ended('NodeLost')
    const call = kubelet.call()
    assert.match(status!.endMessage!, /node hand .*stopped answering/)
    while (kubelet.nowMs < deletedAtMs + GRACE_MS + OVERDUE_MS - 1_000) {
      assert.equal((await kubelet.pods()).length, 0, 'no other pod before the grace of this one is over')
      await kubelet.installation.advance(200)
    }
    const next = await kubelet.running()
    assert.ok(kubelet.nowMs - deletedAtMs < GRACE_MS + OVERDUE_MS + SLACK_MS, `${kubelet.nowMs - deletedAtMs} ms`)
    assert.ok(await lingers(kubelet, pod), 'nobody forced it')
    const entered = await kubelet.answered(call)
    assert.equal(entered.outcome, 'entered')
    assert.equal(entered.pod.uid, next.metadata.uid)

    await kubelet.installation.advance(60_000)
    const again = await kubelet.answered(kubelet.call())
    assert.equal(again.outcome === 'entered' && again.pod.uid, next.metadata.uid, 'the orphan, whose agent still answers, gets no call')
    await kubelet.gone(pod)
    await kubelet.installation.advance(5_000)
    assert.equal((await kubelet.session()).status?.podUID, next.metadata.uid, 'its node came back and ended it: nothing changes')
  })

test('a node that somebody has tainted and that answers: Evicted, and no other pod before this one is gone', async (t) => {
  const { kubelet, pod } = await running(t, 4)
  await kubelet.disrupt(pod, 'DeletionByTaintManager')
  await kubelet.ended('Evicted')
  await kubelet.installation.advance(60_000) // a slow kubelet
  const call = kubelet.call()
  await kubelet.installation.advance(5_000)
  assert.equal((await kubelet.pods()).length, 0)
  await kubelet.gone(pod)
  const next = await kubelet.running()
  const entered = await kubelet.answered(call)
  assert.equal(entered.outcome === 'entered' && entered.pod.uid, next.metadata.uid)
})

test('pings fail before the cluster has noticed: Unhealthy at first, NodeLost once it has', async (t) => {
  const { kubelet, pod } = await running(t, 5)
  await kubelet.now(kubelet.installation.host.signal(pod.metadata.uid!))
  await kubelet.ended('Unhealthy')
  await kubelet.installation.advance(GRACE_MS + OVERDUE_MS + 20_000)
  assert.equal((await kubelet.session()).status?.phase, 'Terminating', 'the node may be slow')
  await kubelet.node('Unknown')
  await kubelet.ended('NodeLost')
  const call = kubelet.call()
  const next = await kubelet.running()
  const entered = await kubelet.answered(call)
  assert.equal(entered.outcome === 'entered' && entered.pod.uid, next.metadata.uid)
  assert.ok(await lingers(kubelet, pod))
})

test('a session that was stopped on a silent node stays Stopped, and may open again', async (t) => {
  const { kubelet, pod } = await running(t, 6)
  await kubelet.node('Unknown')
  const stopped = await kubelet.installation.settle(kubelet.installation.desk.stop(kubelet.target, CALLER, SESSION_ID, undefined), 30_000)
  assert.equal(stopped, 'stopped')
  const call = kubelet.call()
  const next = await kubelet.running()
  const entered = await kubelet.answered(call)
  assert.equal(entered.outcome === 'entered' && entered.pod.uid, next.metadata.uid)
  assert.ok(await lingers(kubelet, pod))
  const ends = await kubelet.events()
  assert.ok(ends.includes('Stopped') && !ends.includes('NodeLost'), ends.join())
})

test('a record that is deleted while its node is silent is not held for ever', async (t) => {
  const { kubelet, pod } = await running(t, 7)
  await kubelet.node('Unknown')
  await kubelet.deleteRecord()
  await kubelet.installation.until(() => kubelet.installation.tables.sessions.list().length === 0, 60_000, 'the record goes')
  assert.ok(await lingers(kubelet, pod))
})
