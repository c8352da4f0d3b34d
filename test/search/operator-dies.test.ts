import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PortCall } from '../../src/env/mortal.ts'
import type { ApiRequest } from '../../src/kube/transport.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from './virtual-installation.ts'

const CALLS = 50
const never = new AbortController().signal

/** 50 first calls of one new id at once, the operator dying with its n-th write and started again. Answers how many it made. */
async function openTogether(seed: number, dieAtWrite: number): Promise<number> {
  const world = new VirtualInstallation(seed)
  try {
    await world.start()
    const target = await world.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 3600 })
    await world.advance(10_000)

    let writes = 0
    const onCall = ({ port, arguments: [request] }: PortCall): void => {
      if (port !== 'kubernetes.request' || (request as ApiRequest).method === 'GET') return
      writes += 1
      if (writes !== dieAtWrite) return
      // The write is on its way and will be carried out; its answer is never seen.
      world.operator.kill()
      world.clock.after(200, () => world.startOperator(onCall))
    }
    world.operator.kill()
    world.startOperator(onCall)

    const entered = await world.settle(
      Promise.all(Array.from({ length: CALLS }, () => world.desk.enter(target, CALLER, SESSION_ID, never))),
      120_000,
    )
    const pods = new Set(entered.map((one) => (one.outcome === 'entered' ? one.pod.uid : one.outcome)))
    assert.equal(pods.size, 1, `${CALLS} calls, one pod: ${[...pods].join(' ')}`)
    assert.equal(world.host.started.length, 1, 'one process was ever started')
    await world.advance(20_000)
    const session = await world.session()
    assert.deepEqual([session?.spec.incarnation, session?.status?.phase], [1, 'Running'])
    assert.equal(world.host.started.length, 1)
    return writes
  } finally {
    world.stop()
  }
}

test('50 first calls of one new id open one pod, though the operator dies after each of its writes in turn', async () => {
  for (const seed of [1, 2, 3]) {
    const writes = await openTogether(seed, Infinity)
    assert.ok(writes >= 3, `a session takes some writes of the operator, not ${writes}`)
    for (let write = 1; write <= writes; write += 1) await openTogether(seed, write)
  }
})
