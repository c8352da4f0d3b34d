/**
 * A session's pod dies, its address is given to another session's pod, and one gateway has not heard of either. Nothing of the
 * first session's calls may reach the second's agent: not by what the gateway knows, which is old, but by the proof alone.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemRandom } from '../../src/env/system.ts'
import type { Proving } from '../../src/gateway/proxy/connect.ts'
import { meterProof } from '../../src/gateway/proxy/prove.ts'
import { eventually } from '../kit/eventually.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { PlayedCluster, type PlayedGateway } from './played-cluster.ts'
import { SECRET, type PlayedPod } from './played-pod.ts'

const proven = (): Proving => meterProof({ random: systemRandom, secret: SECRET })
const within = { withinMs: 15_000 }

interface Reuse {
  arn: string
  /** Its watches are held since before the first session's end. */
  stale: PlayedGateway
  ours: string
  /** The other session's, at the address that was ours. */
  other: PlayedPod
  /** What the other's agent had been sent by its own call. */
  itsBytes: number
  cluster: PlayedCluster
}

/** `hasCalled`: the stale gateway has proven the first pod, and called it. Otherwise it only knows its route. */
async function reuse(t: TestContext, proving: Proving, { hasCalled }: { hasCalled: boolean }): Promise<Reuse> {
  const cluster = await PlayedCluster.start(t)
  const stale = await cluster.gateway(proving)
  const fresh = await cluster.gateway(proven())
  const arn = await cluster.apply(fresh)
  const [ours, others] = [newSessionId(), newSessionId()]
  assert.equal((await fresh.raw.invoke(arn, ours, {})).status, 200)
  const [first] = cluster.host.pods.values()
  await eventually(() => stale.routesTo(first!.pod.uid), { ...within, because: 'both gateways know the pod' })
  if (hasCalled) assert.equal((await stale.raw.invoke(arn, ours, {})).status, 200)
  stale.hold()
  assert.equal((await fresh.raw.stop(arn, ours)).status, 200)
  const taken = async (): Promise<PlayedPod | undefined> => {
    assert.equal((await fresh.raw.invoke(arn, others, {})).status, 200)
    return [...cluster.host.pods.values()].find((pod) => pod !== first)
  }
  await eventually(() => first!.isOver, { ...within, because: 'our pod has ended' })
  const other = await eventually(taken, { ...within, because: "the other session's pod has answered" })
  assert.equal(other.pod.address, first!.pod.address, 'the address is used again')
  assert.notEqual(other.pod.sessionUID, first!.pod.sessionUID)
  return { arn, stale, ours, other, itsBytes: other.bytes, cluster }
}

for (const hasCalled of [true, false]) {
  const how = hasCalled ? 'has called the dead pod' : 'never called the dead pod'
  test(`a gateway that ${how}, and hears nothing: the call waits, reaches nobody else, and gets its own next pod`, async (t) => {
    const { arn, stale, ours, other, itsBytes, cluster } = await reuse(t, proven(), { hasCalled })
    const asked = other.asked.length
    const call = stale.raw.invoke(arn, ours, {})
    await eventually(() => other.asked.length > asked + 5, {
      ...within,
      because: 'the stale gateway asks the meter at the old address, and goes on',
    })
    assert.equal(other.bytes, itsBytes)
    stale.release()
    const answer = await call
    const next = [...cluster.host.pods.values()].at(-1)!
    assert.deepEqual([answer.status, answer.body], [200, JSON.stringify(next.pod.uid)])
    assert.notEqual(next.pod.uid, other.pod.uid)
    assert.equal(other.bytes, itsBytes)
  })
}

test('without the proof, the same call reaches the other agent: these tests would see it', async (t) => {
  const { arn, stale, ours, other, itsBytes } = await reuse(t, 'none', { hasCalled: true })
  const answer = await stale.raw.invoke(arn, ours, {})
  assert.deepEqual([answer.status, answer.body], [200, JSON.stringify(other.pod.uid)])
  assert.ok(other.bytes > itsBytes)
})
