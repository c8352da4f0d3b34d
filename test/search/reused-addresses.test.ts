/**
 * Agents crash, sessions reopen, addresses are used again, and watches are now and then seconds late. A call is delivered to whoever
 * took the connection that was opened for it. With the proof that is never another pod, and every call gets through; without it,
 * this search finds calls that another session's agent got.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RuntimeTarget } from '../../src/gateway/session-port.ts'
import { SessionDesk } from '../../src/gateway/sessions/sessions.ts'
import { Tables } from '../../src/gateway/sessions/tables.ts'
import { CALLER, VirtualInstallation } from './virtual-installation.ts'

const never = new AbortController().signal
const SESSIONS = 5
const ROUNDS = 6
/** As often as the gateway enters again for one call. */
const MOST_ENTRIES = 3

interface Found {
  /** Calls that another pod got than the one that was selected for them. */
  crossed: number
  /** How the other calls ended, but for those that were answered. */
  unanswered: string[]
}

async function search(seed: number, isProven: boolean): Promise<Found & { foundOut: number }> {
  const world = new VirtualInstallation(seed)
  world.host.reusesAddresses = true
  if (!isProven) world.host.proofs = 'proven'
  const random = world.random('calls')
  const found: Found = { crossed: 0, unanswered: [] }
  try {
    await world.start()
    const desks = [world.desk, await secondDesk(world)]
    const target = await world.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 36_000 })
    const ids = Array.from({ length: SESSIONS }, (_, index) => `virtual-session-${index}-`.padEnd(33, '0'))
    for (let round = 0; round < ROUNDS; round += 1) {
      // By both at once, so that one often has not heard of what the other has done.
      const calls = ids.flatMap((id) => desks.map((desk) => call(world, desk, target, id, found)))
      await world.settle(Promise.all(calls), 300_000)
      await world.advance(random.fraction() * 500)
      for (const podUID of world.host.started) await world.settle(world.host.signal(podUID), 1_000) // all crash, and addresses are dealt anew
    }
  } finally {
    world.stop()
  }
  return { ...found, foundOut: world.host.foundOut }
}

/** Another gateway, with watches of its own: what one has not heard of yet, the other may have acted on. */
async function secondDesk(world: VirtualInstallation): Promise<SessionDesk> {
  const base = world.base('second-gateway')
  const kubernetes = world.transport('gateway', 'second-gateway')
  const env = { ...base, kubernetes, activity: world.activity, dial: world.host.dial }
  const end = new AbortController()
  const tables = new Tables(env, { namespace: 'carrel-system', accessKeyType: 'carrel.dev/access-key' }, end.signal)
  const desk = new SessionDesk(env, tables, { name: 'gateway-second', ready: tables.synced })
  void desk.run(end.signal)
  await world.settle(tables.synced, 60_000)
  return desk
}

/** One call, as the gateway makes it: on a connection of its own. Answers the pod that got it. */
async function call(
  world: VirtualInstallation,
  desk: SessionDesk,
  target: RuntimeTarget,
  sessionId: string,
  found: Found,
): Promise<string | undefined> {
  for (let entries = 0; entries < MOST_ENTRIES; entries += 1) {
    const entered = await desk.enter(target, CALLER, sessionId, never)
    if (entered.outcome === 'failed') return undefined // it crashed while it started: that is an answer
    if (entered.outcome !== 'entered') return void found.unanswered.push(entered.outcome)
    const accepting = world.host.podAt(entered.pod.address)
    const reach = await world.host.dial.connect(entered.pod, 1_000)
    entered.release(reach !== 'connected')
    if (reach !== 'connected') continue
    if (accepting !== entered.pod.uid) found.crossed += 1
    return accepting
  }
  return void found.unanswered.push('refused')
}

const SEEDS = [2, 4, 5]
/** Where they find nothing: how many more are tried before the search is taken for blind. */
const MOST_SEEDS = 40

test('no call crosses to another pod at a reused address, and none is lost for it', async (t) => {
  let foundOut = 0
  for (const seed of SEEDS) {
    const found = await search(seed, true)
    assert.deepEqual([found.crossed, found.unanswered], [0, []], `seed ${seed}`)
    foundOut += found.foundOut
  }
  t.diagnostic(`${foundOut} connections led to another pod`)
})

test('without the proof, that search finds calls that crossed', async () => {
  let crossed = 0
  for (let seed = SEEDS[0]!; seed < MOST_SEEDS && crossed === 0; seed += 1) crossed += (await search(seed, false)).crossed
  assert.ok(crossed > 0)
})
