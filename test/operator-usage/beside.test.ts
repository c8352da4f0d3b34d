import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { PortCall } from '../../src/env/mortal.ts'
import { EVENTS } from '../../src/kube/events.ts'
import { PODS } from '../../src/kube/resource.ts'
import { CALLER, SESSION_ID, type VirtualInstallation } from '../search/virtual-installation.ts'
import { call, withWorld as inWorld, type Status, type Target } from './world.ts'

const never = new AbortController().signal

/** An installation in which each pod's meter goes with it. */
const withWorld = (seed: number, body: Parameters<typeof inWorld>[1]): Promise<void> => inWorld(seed, body, { metersBeside: true })

async function stop(world: VirtualInstallation, target: Target): Promise<Status> {
  await world.settle(world.desk.stop(target, CALLER, SESSION_ID, undefined), 60_000)
  return ended(world)
}

async function ended(world: VirtualInstallation): Promise<Status> {
  for (const untilMs = world.clock.monotonic() + 60_000; ; await world.advance(50)) {
    const session = await world.session()
    if (session?.status?.phase === 'Terminated') return session.status
    if (world.clock.monotonic() > untilMs) throw new Error(`it is ${session?.status?.phase}`)
  }
}

async function missedEvents(world: VirtualInstallation): Promise<string[]> {
  await world.advance(1_000)
  const { items } = await world.settle(world.admin.list(EVENTS), 1_000)
  return items.filter(({ reason }) => reason === 'UsageMissed').map(({ note }) => note)
}

/** Seconds that nobody measured, by the status. */
const missed = ({ usage }: Status): number => Number(usage?.missedSeconds ?? 0)

test('the meter of a pod is read once more before the pod is deleted, and that reading is the final usage', async () => {
  await withWorld(21, async (world, target) => {
    const podUID = await call(world, target)
    await world.advance(33_000)
    const reads: { alive: boolean; sessionUID: string; address: string | undefined }[] = []
    const { read } = world.meters
    world.meters.read = (pod) => {
      reads.push({ ...pod, alive: world.host.isAlive(podUID) })
      return read(pod)
    }
    const status = await stop(world, target)
    assert.equal(reads.length, 1)
    assert.deepEqual([reads[0]!.alive, reads[0]!.sessionUID], [true, (await world.session())!.metadata.uid])
    assert.ok(reads[0]!.address)
    assert.deepEqual([status.usage?.final, status.usage?.incarnation, status.usage?.source], [true, 1, 'ProcessTree'])
    assert.ok(Number(status.usage?.measuredSeconds) >= 33, JSON.stringify(status.usage))
    assert.ok(missed(status) < 5, 'from that reading to the end of the pod')
    assert.deepEqual(await missedEvents(world), [])
    assert.deepEqual(world.errors, [])
  })
})

test('a meter that hangs, or is dead, holds the end up for a second at most, and what it said before stands, marked', async () => {
  for (const [seed, answer] of [
    [22, () => new Promise<never>(() => {})],
    [23, async () => Promise.reject(new Error('connect ECONNREFUSED'))],
  ] as const) {
    await withWorld(seed, async (world, target) => {
      await call(world, target)
      await world.advance(60_000)
      world.meters.read = answer
      const stoppedAtMs = world.clock.now()
      const status = await stop(world, target)
      const heldUpMs = Date.parse(status.endedAt!) - stoppedAtMs
      assert.ok(heldUpMs < 7_000, `${heldUpMs} ms`)
      assert.equal(status.usage?.final, true)
      assert.ok(Number(status.usage.measuredSeconds) > 40 && missed(status) > 0, JSON.stringify(status.usage))
      assert.match((await missedEvents(world)).join(), /did not answer: the usage of incarnation 1 is short by at most/)
    })
  }
})

test('many sessions with dead meters end side by side: none waits for the meter of another', async () => {
  /** How long it takes until all have ended. */
  const endAll = async (meter: 'living' | 'dead'): Promise<number> => {
    let tookMs = 0
    await withWorld(24, async (world, target) => {
      const ids = Array.from({ length: 48 }, (_, at) => `virtual-session-${at}-`.padEnd(33, 'x'))
      for (const id of ids) {
        const entered = await world.settle(world.desk.enter(target, CALLER, id, never), 120_000)
        if (entered.outcome !== 'entered') throw new Error(entered.outcome)
        entered.release()
      }
      if (meter === 'dead') world.meters.read = () => new Promise<never>(() => {})
      const startedAtMs = world.clock.monotonic()
      await Promise.all(ids.map((id) => world.settle(world.desk.stop(target, CALLER, id, undefined), 60_000)))
      for (;;) {
        const { items } = await world.settle(world.admin.list(AGENT_SESSIONS), 1_000)
        tookMs = world.clock.monotonic() - startedAtMs
        if (items.every(({ status }) => status?.phase === 'Terminated')) return
        assert.ok(tookMs < 120_000, 'they ended')
        await world.advance(50)
      }
    })
    return tookMs
  }
  const [living, dead] = [await endAll('living'), await endAll('dead')]
  // One after the other, 16 reconciles at a time would take three seconds more.
  assert.ok(dead - living < 2_000, `${living} ms, ${dead} ms`)
})

test('a pod that vanishes keeps what was read of it last, and the rest is said to be missing', async () => {
  await withWorld(25, async (world, target) => {
    const podUID = await call(world, target)
    await world.advance(47_000)
    const pod = (await world.settle(world.admin.list(PODS), 1_000)).items.find(({ metadata }) => metadata.uid === podUID)!
    await world.settle(world.admin.delete(PODS, pod.metadata.namespace, pod.metadata.name, { uid: podUID }), 1_000)
    const status = await ended(world)
    assert.deepEqual([status.endReason, status.usage?.final], ['PodLost', true])
    assert.ok(Number(status.usage?.measuredSeconds) > 30 && missed(status) > 0, JSON.stringify(status.usage))
    assert.match((await missedEvents(world)).join(), /was not asked before the pod went.*short by at most/)
  })
})

test('the operator dies at each of its calls in turn, from the stop on: the session ends, with final usage that is short at most', async () => {
  async function die(atCall: number): Promise<number> {
    let calls = 0
    await withWorld(26, async (world, target) => {
      await call(world, target)
      await world.advance(70_000)
      const onCall = ({ port }: PortCall): void => {
        if (!/^(kubernetes\.request|meters\.)/.test(port)) return
        calls += 1
        if (calls !== atCall) return
        world.operator.kill()
        world.clock.after(200, () => world.startOperator(onCall))
      }
      world.operator.kill()
      world.startOperator(onCall)
      await world.advance(12_000)
      const status = await stop(world, target)
      assert.deepEqual([status.usage?.final, status.usage?.incarnation], [true, 1], JSON.stringify(status))
      const seconds = Number(status.usage?.measuredSeconds) + missed(status)
      assert.ok(seconds > 80, `every second is measured or missing: ${JSON.stringify(status.usage)}`)
      assert.ok(Number(status.usage?.cpuSeconds) <= seconds / 10 + 0.01, 'never more than was used')
    })
    return calls
  }
  const calls = await die(Infinity)
  assert.ok(calls > 8, `${calls} calls`)
  for (let at = 1; at <= calls; at += 1) await die(at)
})

test('a pod that its meter cannot see has no usage, not even a wrong one, and the status says why, in a write that is made anyway', async () => {
  await withWorld(27, async (world, target) => {
    world.meters.read = async () => ({ notVisible: 'the pod shares its kernel with the node' })
    const written: Status[] = []
    world.operator.kill()
    world.startOperator(({ port, arguments: [request] }: PortCall) => {
      const { method, path, body } = (request ?? {}) as { method: string; path: string; body: AgentSession }
      if (port === 'kubernetes.request' && method === 'PUT' && path.endsWith('/status') && path.includes('agentsessions'))
        written.push(body.status!)
    })
    await call(world, target)
    await world.advance(20_000)
    const status = await stop(world, target)
    assert.deepEqual([status.usage, status.usageBefore], [undefined, undefined])
    const condition = status.conditions?.find(({ type }) => type === 'Metered')
    assert.deepEqual(
      [condition?.status, condition?.reason, condition?.message],
      ['False', 'NotVisible', 'the pod shares its kernel with the node'],
    )
    assert.deepEqual(
      written.map(({ phase }) => phase),
      ['Pending', 'Running', 'Terminating', 'Terminated'],
    )
    assert.deepEqual(await missedEvents(world), [])
  })
})

test('a live pod that cannot be seen is said to be so after a minute, once, and its meter is not asked again', async () => {
  await withWorld(28, async (world, target) => {
    let reads = 0
    world.meters.read = async () => {
      reads += 1
      return { notVisible: 'the pod shares its kernel with the node' }
    }
    await call(world, target)
    await world.advance(50_000)
    assert.equal(
      (await world.session())?.status?.conditions?.some(({ type }) => type === 'Metered'),
      false,
    )
    await world.advance(30_000)
    const session = await world.session()
    assert.deepEqual(
      session?.status?.conditions?.map(({ type, status }) => [type, status]),
      [
        ['Ready', 'True'],
        ['Metered', 'False'],
      ],
    )
    await world.advance(240_000)
    assert.equal((await world.session())?.metadata.resourceVersion, session?.metadata.resourceVersion, 'nothing was written since')
    assert.equal(reads, 1)
    assert.equal((await stop(world, target)).usage, undefined)
    assert.equal(reads, 1)
  })
})

test('an incarnation that can be seen after one that could not has figures, and the status says so', async () => {
  await withWorld(29, async (world, target) => {
    const { read } = world.meters
    world.meters.read = async () => ({ notVisible: 'the pod shares its kernel with the node' })
    await call(world, target)
    await world.advance(20_000)
    await stop(world, target)
    world.meters.read = read
    await call(world, target)
    await world.advance(20_000)
    const status = await stop(world, target)
    assert.deepEqual([status.usage?.incarnation, status.usage?.final], [2, true])
    assert.equal(status.conditions?.find(({ type }) => type === 'Metered')?.status, 'True')
  })
})

test('a session that is deleted while it lives has the last word of its meter in its last state', async () => {
  await withWorld(30, async (world, target) => {
    await call(world, target)
    await world.advance(25_000)
    const states: Status[] = []
    world.operator.kill()
    world.startOperator(({ port, arguments: [request] }: PortCall) => {
      const { method, path, body } = (request ?? {}) as { method: string; path: string; body: AgentSession }
      if (port === 'kubernetes.request' && method === 'PUT' && path.endsWith('/status') && path.includes('agentsessions'))
        states.push(body.status!)
    })
    await world.advance(2_000)
    const { metadata } = (await world.session())!
    await world.settle(world.admin.delete(AGENT_SESSIONS, 'default', metadata.name, { uid: metadata.uid! }), 1_000)
    await world.advance(15_000)
    assert.equal(await world.session(), undefined)
    const last = states.at(-1)
    assert.deepEqual([last?.phase, last?.usage?.final], ['Terminated', true])
    assert.ok(Number(last?.usage?.measuredSeconds) >= 27, JSON.stringify(last?.usage))
  })
})
