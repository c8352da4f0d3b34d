import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import type { PortCall } from '../../src/env/mortal.ts'
import { EVENTS } from '../../src/kube/events.ts'
import type { ApiRequest } from '../../src/kube/transport.ts'
import { CALLER, SESSION_ID, type VirtualInstallation } from '../search/virtual-installation.ts'
import { call, withWorld, type Status, type Target } from './world.ts'

async function stop(world: VirtualInstallation, target: Target): Promise<Status> {
  await world.settle(world.desk.stop(target, CALLER, SESSION_ID, undefined), 60_000)
  return reach(world, 'Terminated')
}

async function reach(world: VirtualInstallation, phase: string, withinMs = 60_000): Promise<Status> {
  const untilMs = world.clock.monotonic() + withinMs
  for (;;) {
    const session = await world.session()
    if (session?.status?.phase === phase) return session.status
    if (world.clock.monotonic() > untilMs) throw new Error(`it is ${session?.status?.phase}, not ${phase}`)
    await world.advance(50)
  }
}

function statusWrites(world: VirtualInstallation): Status[] {
  const written: Status[] = []
  world.operator.kill()
  world.startOperator(({ port, arguments: [request] }: PortCall) => {
    const { method, path, body } = (request ?? {}) as ApiRequest
    if (port === 'kubernetes.request' && method === 'PUT' && path.includes('agentsessions') && path.endsWith('/status'))
      written.push((body as AgentSession).status!)
  })
  return written
}

test('an ended session has its final usage in the write that says Terminated, and its meter may forget it after that', async () => {
  await withWorld(1, async (world, target) => {
    const written = statusWrites(world)
    const podUID = await call(world, target)
    await world.advance(30_000)
    const { usage, usageBefore } = await stop(world, target)
    assert.deepEqual([usage?.incarnation, usage?.final, usage?.source, usageBefore], [1, true, 'ProcessTree', undefined])
    const seconds = Number(usage?.measuredSeconds)
    assert.ok(seconds >= 30 && seconds < 36, `${seconds} s`)
    assert.ok(Math.abs(Number(usage?.cpuSeconds) - seconds / 10) < 0.002, usage?.cpuSeconds)
    assert.ok(Math.abs(Number(usage?.memoryInUseGBSeconds) - (200 / 1024) * seconds) < 0.01, usage?.memoryInUseGBSeconds)
    assert.deepEqual(
      written.map(({ phase, usage: of }) => `${phase}${of ? ' with usage' : ''}`),
      ['Pending', 'Running', 'Terminating', 'Terminated with usage'],
      'not a write more for it',
    )
    await world.advance(1_000)
    assert.equal(world.meter.report(podUID), undefined)
    assert.deepEqual(world.errors, [])
  })
})

test('a live session is written once a minute at most, and not before it is a minute old', async () => {
  await withWorld(2, async (world, target) => {
    const written = statusWrites(world)
    await call(world, target)
    await world.advance(55_000)
    assert.equal(written.filter(({ usage }) => usage).length, 0)
    await world.advance(265_000)
    const live = written.flatMap(({ usage }) => usage ?? [])
    assert.ok(live.length === 4 || live.length === 5, `${live.length} in 320 s`)
    const times = live.map(({ updatedAt }) => Date.parse(updatedAt))
    for (const [at, time] of times.entries()) assert.ok(at === 0 || time - times[at - 1]! >= 60_000)
    assert.deepEqual(
      live.map(({ final }) => final),
      live.map(() => false),
    )
  })
})

test('what incarnations before used is summed, each once', async () => {
  await withWorld(3, async (world, target) => {
    let sum = 0
    for (const incarnation of [1, 2, 3]) {
      await call(world, target)
      await world.advance(10_000)
      const { usage, usageBefore } = await stop(world, target)
      assert.equal(usage?.incarnation, incarnation)
      assert.equal(usageBefore?.incarnations ?? 0, incarnation - 1)
      assert.equal(Number(usageBefore?.cpuSeconds ?? 0).toFixed(3), sum.toFixed(3))
      sum += Number(usage.cpuSeconds)
    }
  })
})

test('the operator dies at each of its calls in turn, from the stop to the next incarnation: nothing is lost, nothing counted twice', async () => {
  const counted = (port: string): boolean => /^(kubernetes\.request|meters\.)/.test(port)
  async function die(atCall: number): Promise<number> {
    let calls = 0
    await withWorld(4, async (world, target) => {
      const podUID = await call(world, target)
      await world.advance(20_000)
      const onCall = ({ port }: PortCall): void => {
        if (!counted(port)) return
        calls += 1
        if (calls !== atCall) return
        world.operator.kill()
        world.clock.after(200, () => world.startOperator(onCall))
      }
      world.operator.kill()
      world.startOperator(onCall)
      await world.advance(2_000)
      const { usage: first } = await stop(world, target)
      assert.ok(first?.final && Number(first.cpuSeconds) > 2, JSON.stringify(first))
      await world.advance(2_000)
      assert.equal(world.meter.report(podUID), undefined, 'the meter was told')
      await call(world, target)
      await world.advance(5_000)
      const { usage, usageBefore } = await stop(world, target)
      assert.deepEqual([usage?.incarnation, usage?.final, usageBefore?.incarnations], [2, true, 1])
      assert.equal(usageBefore?.cpuSeconds, first.cpuSeconds)
      assert.equal(usage?.missedSeconds, undefined)
    })
    return calls
  }
  const calls = await die(Infinity)
  assert.ok(calls > 10, `${calls} calls`)
  for (let at = 1; at <= calls; at += 1) await die(at)
})

test('a meter that is away for a moment holds the end up, no longer than ten seconds, and then the last that is known stands, marked', async () => {
  await withWorld(5, async (world, target) => {
    const { read } = world.meters
    const away = async (): Promise<never> => {
      throw new Error('connect ECONNREFUSED')
    }
    await call(world, target)
    await world.advance(30_000)
    world.meters.read = away
    world.clock.after(3_000, () => (world.meters.read = read))
    const brief = await stop(world, target)
    assert.deepEqual([brief.usage?.final, brief.usage?.missedSeconds], [true, undefined])

    await call(world, target)
    await world.advance(32_000)
    world.meters.read = away
    const stoppedAtMs = world.clock.now()
    const { usage, endedAt } = await stop(world, target)
    const heldUpMs = Date.parse(endedAt!) - stoppedAtMs
    assert.ok(heldUpMs >= 10_000 && heldUpMs < 12_000, `${heldUpMs} ms`)
    assert.equal(usage?.final, true)
    const seconds = Number(usage.measuredSeconds) + Number(usage.missedSeconds)
    assert.ok(Number(usage.measuredSeconds) > 20 && seconds > 41 && seconds < 46, JSON.stringify(usage))
    await world.advance(1_000)
    const told = (await world.settle(world.admin.list(EVENTS), 1_000)).items.filter(({ reason }) => reason === 'UsageMissed')
    assert.equal(told.length, 1)
    assert.match(told[0]!.note, /did not answer.*incarnation 2 is short by at most/)
  })
})

test('of a pod that no meter ever spoke of, the time that is missing is said', async () => {
  await withWorld(6, async (world, target) => {
    world.meters.read = async () => 'unknown'
    await call(world, target)
    await world.advance(5_000)
    const { usage } = await stop(world, target)
    assert.deepEqual([usage?.final, usage?.cpuSeconds, usage?.source], [true, '0.000', undefined])
    assert.ok(Number(usage?.missedSeconds) >= 5)
  })
})

test('where nothing is metered, sessions end as ever and have no usage', async () => {
  await withWorld(7, async (world, target) => {
    world.meters.read = async () => 'unmetered'
    await call(world, target)
    const { usage } = await stop(world, target)
    assert.equal(usage, undefined)
  })
})

test('a live session whose object is deleted has its usage in its last state, and its meter is told', async () => {
  await withWorld(8, async (world, target) => {
    const podUID = await call(world, target)
    await world.advance(10_000)
    const written = statusWrites(world)
    await world.advance(2_000)
    const { metadata } = (await world.session())!
    await world.settle(world.admin.delete(AGENT_SESSIONS, 'default', metadata.name, { uid: metadata.uid! }), 1_000)
    await world.advance(10_000)
    assert.equal(await world.session(), undefined)
    assert.deepEqual([written.at(-1)?.phase, written.at(-1)?.usage?.final], ['Terminated', true])
    assert.equal(world.meter.report(podUID), undefined)
  })
})
