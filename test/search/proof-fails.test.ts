/** A pod whose port answers, and that is not proven, on virtual time: what its callers wait for, how often it is asked, and what they are told. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Entered, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from './virtual-installation.ts'

const never = new AbortController().signal
/** startTimeoutSeconds by default, and what a call waits beyond it. */
const PATIENCE_MS = 55_000

async function started(
  t: TestContext,
  seed: number,
): Promise<{ world: VirtualInstallation; target: RuntimeTarget; enter: () => Promise<Entered> }> {
  const world = new VirtualInstallation(seed)
  t.after(() => world.stop())
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 3_600 })
  return { world, target, enter: () => world.desk.enter(target, CALLER, SESSION_ID, never) }
}

for (const why of ['otherPod', 'noMeter', 'unreadable'] as const) {
  test(`${why}, to the end of a call's patience: nothing is entered, and the caller is told why`, async (t) => {
    const { world, enter } = await started(t, 31)
    world.host.proofs = why
    const beganAtMs = world.clock.monotonic()
    const entered = await world.settle(enter(), 2 * PATIENCE_MS)
    assert.deepEqual(entered, { outcome: 'unproven', why, retryAfterMs: 1_000 })
    const waitedMs = world.clock.monotonic() - beganAtMs
    assert.ok(waitedMs >= PATIENCE_MS && waitedMs < PATIENCE_MS + 1_000, `after ${waitedMs} ms`)
    assert.equal((await world.session())?.status?.phase, 'Running', 'a gateway never ends a session by itself')
  })
}

test('a meter that comes a little later than the agent costs its calls as much time, and no error', async (t) => {
  const { world, enter } = await started(t, 32)
  world.host.proofs = 'noMeter'
  const calls = Promise.all(Array.from({ length: 50 }, () => enter()))
  await world.until(() => world.host.dialledAtMs.length > 0, 10_000, 'the port is dialled')
  await world.advance(1_500)
  world.host.proofs = undefined
  const cameAtMs = world.clock.monotonic()
  const outcomes = (await world.settle(calls, 1_000)).map(({ outcome }) => outcome)
  assert.deepEqual(new Set(outcomes), new Set(['entered']))
  assert.ok(world.clock.monotonic() - cameAtMs < 100, 'seen soon')
})

test('20 calls ask a silent meter as often as one does, and after two seconds less often', async (t) => {
  const { world, enter } = await started(t, 33)
  world.host.proofs = 'noMeter'
  for (let n = 0; n < 20; n += 1) {
    void enter()
    await world.until(() => world.host.dialledAtMs.length > 0, 10_000, 'the port is dialled')
    await world.advance(7) // each at a moment of its own
  }
  const sinceMs = world.clock.monotonic() + 1_000
  await world.advance(7_000)
  const within = (fromMs: number, toMs: number): number =>
    world.host.dialledAtMs.filter((atMs) => atMs >= sinceMs + fromMs && atMs < sinceMs + toMs).length
  const [soon, later] = [within(0, 1_000), within(5_000, 6_000)]
  assert.ok(soon >= 20 && soon <= 50, `${soon} a second at first`)
  assert.ok(later >= 3 && later <= 5, `${later} a second later`)
})

test('a session that ends while its pod is not proven: the call goes on to the next one', async (t) => {
  const { world, target, enter } = await started(t, 34)
  world.host.proofs = 'otherPod'
  const call = enter()
  await world.until(() => world.host.dialledAtMs.length > 0, 10_000, 'the port is dialled')
  await world.settle(world.desk.stop(target, CALLER, SESSION_ID, undefined), 10_000)
  world.host.proofs = undefined
  const entered = await world.settle(call, PATIENCE_MS)
  assert.equal(entered.outcome, 'entered')
  assert.equal((await world.session())?.spec.incarnation, 2)
})
