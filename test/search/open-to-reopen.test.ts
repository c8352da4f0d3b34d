import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CALLER, SESSION_ID, VirtualInstallation } from './virtual-installation.ts'

const never = new AbortController().signal

/** Open, call, idle end, reopen: the life that every session may have. Answers the trace hash. */
async function live(seed: number): Promise<string> {
  const world = new VirtualInstallation(seed)
  world.host.pingMs = 0
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 10, maxLifetimeSeconds: 3600 })

  const first = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 60_000)
  assert.equal(first.outcome, 'entered')
  if (first.outcome !== 'entered') throw new Error('unreachable')
  await world.advance(25_000)
  assert.equal((await world.session())?.status?.phase, 'Running', 'an open call holds the session over two idle windows')

  const releasedAtMs = world.clock.monotonic()
  first.release()
  assert.deepEqual(await world.settle(first.ended, 60_000), { reason: 'IdleTimeout' })
  const idleMicros = Math.round((world.closedAtMs.get(first.pod.uid)! - releasedAtMs) * 1000)
  assert.equal(idleMicros, 10_000_000, 'exact, from the end of the last call')

  const second = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 60_000)
  assert.equal(second.outcome, 'entered')
  assert.equal((await world.session())?.spec.incarnation, 2)
  assert.equal(world.host.started.length, 2, 'one pod an incarnation')
  assert.deepEqual(world.errors, [])
  world.stop()
  return world.traceHash()
}

test('a session opens, is held by its call, ends idle to the millisecond, and reopens; a seed replays to the same trace', async () => {
  const hashes = new Set<string>()
  for (const seed of [1, 2, 3]) {
    const hash = await live(seed)
    assert.equal(await live(seed), hash, `seed ${seed} replays`)
    hashes.add(hash)
  }
  assert.equal(hashes.size, 3, 'other seeds give other traces')
})

test('the lifetime ends a session exactly, whatever is open on it', async () => {
  const world = new VirtualInstallation(7)
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 60, maxLifetimeSeconds: 90 })
  const entered = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 60_000)
  assert.equal(entered.outcome, 'entered')
  if (entered.outcome !== 'entered') throw new Error('unreachable')
  const { expiresAt, startedAt } = (await world.session())!.status!
  assert.equal(Date.parse(expiresAt!) - Date.parse(startedAt!), 90_000)
  await world.clock.run(Date.parse(expiresAt!) - world.clock.now() + world.clock.monotonic() - 1)
  assert.equal((await world.session())?.status?.phase, 'Running', 'not a millisecond early')
  assert.deepEqual(await world.settle(entered.ended, 30_000), { reason: 'MaxLifetime' })
  world.stop()
})

test('idle time counts from when an agent can be called: one that takes longer to start than its idle time serves its first call', async () => {
  const world = new VirtualInstallation(11)
  world.host.prepareMs = 8_000
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 2, maxLifetimeSeconds: 3600 })
  const entered = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 60_000)
  assert.equal(entered.outcome, 'entered')
  assert.equal((await world.session())?.spec.incarnation, 1)
  assert.equal(world.host.started.length, 1)
  if (entered.outcome !== 'entered') throw new Error('unreachable')
  entered.release()
  assert.deepEqual(await world.settle(entered.ended, 60_000), { reason: 'IdleTimeout' })
  world.stop()
})
