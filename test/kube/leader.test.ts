import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../src/env/virtual.ts'
import { NotLeadingError } from '../../src/kube/errors.ts'
import { fencedTransport } from '../../src/kube/fenced-transport.ts'
import { Candidate } from '../../src/kube/leader.ts'
import { LEASES } from '../../src/kube/lease.ts'
import { Term } from '../../src/kube/term.ts'
import { Electorate, NAMESPACE, type Network, type Voter } from './electorate.ts'
import { SILENT } from './quiet-env.ts'

async function electorate(seed = 1): Promise<Electorate> {
  const world = new Electorate(seed)
  await world.start()
  return world
}

/** One who leads, and one who waits. */
async function leaderAndHeir(): Promise<{ world: Electorate; leader: Voter; heir: Voter }> {
  const world = await electorate()
  const leader = world.join()
  leader.run()
  await world.advance(1_000, () => leader.candidate.isLeader())
  const heir = world.join()
  heir.run()
  await world.advance(10_000)
  assert.deepEqual(world.leaders(), [leader])
  return { world, leader, heir }
}

describe('a Lease that nobody ever held', () => {
  test('is taken at once, and written as the API server wants it', async () => {
    const world = await electorate()
    const voter = world.join()
    voter.run()
    await world.advance(50)
    assert.ok(voter.candidate.isLeader())
    const { spec } = (await world.lease())!
    assert.equal(spec?.holderIdentity, voter.candidate.identity)
    assert.match(voter.candidate.identity, /^voter-1_[-0-9a-f]{36}$/)
    assert.equal(spec?.leaseDurationSeconds, 3)
    assert.equal(spec?.leaseTransitions, 0)
    for (const time of [spec?.acquireTime, spec?.renewTime]) assert.match(time!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  })

  test('of two who want it at the same instant, one gets it', async () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const world = await electorate(seed)
      for (const voter of [world.join(), world.join(), world.join()]) voter.run()
      await world.advance(2_000)
      assert.equal(world.leaders().length, 1, `seed ${seed}`)
    }
  })
})

describe('a leader', () => {
  test('stays it while it renews, twice a second', async () => {
    const { world, leader } = await leaderAndHeir()
    leader.requests.length = 0
    await world.advance(60_000)
    assert.deepEqual(world.leaders(), [leader])
    assert.ok(leader.requests.length >= 115 && leader.requests.length <= 120, `${leader.requests.length} requests in a minute`)
    assert.ok(leader.requests.every(({ method }) => method === 'PUT'))
    assert.equal((await world.lease())!.spec!.leaseTransitions, 0)
  })

  test('that ends cleanly hands over within a second, and only after its work has ended', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    const last = world.join()
    leader.end.abort()
    await world.advance(1_000, () => heir.candidate.isLeader())
    assert.ok(heir.candidate.isLeader())
    assert.equal(leader.outcome, 'ended')
    const finish = Promise.withResolvers<void>()
    heir.end.abort()
    last.run(() => finish.promise)
    await world.advance(1_000, () => last.candidate.isLeader())
    last.end.abort()
    const next = world.join()
    next.run()
    await world.advance(30_000)
    assert.equal(last.leading?.aborted, true, 'the work was asked to end')
    assert.deepEqual(world.leaders(), [last], 'and as long as it had not, the term went on')
    finish.resolve()
    await world.advance(1_000, () => next.candidate.isLeader())
    assert.ok(next.candidate.isLeader())
    assert.equal(last.outcome, 'ended')
    assert.equal((await world.lease())!.spec!.leaseTransitions, 3)
  })

  test('that is killed is followed when its Lease has aged, no sooner and not half a second later', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    const killedAtMs = world.clock.monotonic()
    leader.kill()
    await world.advance(10_000, () => heir.candidate.isLeader())
    const tookMs = world.clock.monotonic() - killedAtMs
    assert.ok(tookMs >= 2_500 && tookMs <= 3_600, `${tookMs} ms`)
  })

  for (const network of ['refused', 'lost', 'deaf'] as Network[]) {
    test(`whose network is ${network} leads no more before another does, and is told`, async () => {
      const { world, leader, heir } = await leaderAndHeir()
      leader.network = network
      const cutAtMs = world.clock.monotonic()
      await world.advance(10_000, () => !leader.candidate.isLeader())
      const ledForMs = world.clock.monotonic() - cutAtMs
      assert.ok(ledForMs >= 1_400 && ledForMs <= 2_000, `${ledForMs} ms`)
      assert.equal(heir.candidate.isLeader(), false)
      assert.equal(leader.leading!.aborted, true)
      await world.advance(10)
      assert.equal(leader.outcome, 'lost')
      // `deaf`: its last renewals did arrive, and count.
      await world.advance(5_000, () => heir.candidate.isLeader())
      assert.ok(heir.candidate.isLeader())
    })

    test(`whose network is ${network} for a second goes on leading`, async () => {
      const { world, leader } = await leaderAndHeir()
      leader.network = network
      await world.advance(1_000)
      leader.network = 'up'
      await world.advance(30_000)
      assert.deepEqual(world.leaders(), [leader])
      assert.equal(leader.outcome, undefined)
    })
  }

  test('counts its term from when the last renewal that was answered was sent', async () => {
    const { world, leader } = await leaderAndHeir()
    leader.lagMs = 320
    for (let time = 0; time < 10; time += 1) {
      await world.advance(3_000)
      assert.deepEqual(world.leaders(), [leader])
    }
    leader.network = 'refused'
    await world.advance(1_000)
    const endsAtMs = leader.lastWriteSentAtMs + 2_000
    await world.advance(endsAtMs - 1 - world.clock.monotonic())
    assert.equal(leader.candidate.isLeader(), true)
    await world.advance(1)
    assert.equal(leader.candidate.isLeader(), false)
  })

  test('that was paused while it took the Lease, past its term, waits anew', async () => {
    const world = await electorate()
    const voter = world.join()
    const heir = world.join()
    voter.pausesInNextWrite = true
    voter.run()
    await world.advance(1_000)
    assert.equal((await world.lease())!.spec!.holderIdentity, voter.candidate.identity)
    heir.run()
    await world.advance(10_000, () => heir.candidate.isLeader())
    voter.resume()
    await world.advance(0)
    assert.deepEqual(world.leaders(), [heir])
    await world.advance(10_000)
    assert.equal(voter.leading, undefined)
    assert.deepEqual(world.leaders(), [heir])
    heir.end.abort()
    await world.advance(1_000)
    assert.deepEqual(world.leaders(), [voter])
  })

  for (const holderIdentity of ['', 'somebody']) {
    test(`whose Lease somebody gives to ${holderIdentity || 'nobody'} leads no more half a second later`, async () => {
      const world = await electorate()
      const voter = world.join()
      voter.run()
      await world.advance(2_000)
      await world.admin.mergePatch(LEASES, NAMESPACE, 'operator', { spec: { holderIdentity } })
      await world.advance(600)
      assert.equal(voter.outcome, 'lost')
      assert.equal((await world.lease())!.spec!.holderIdentity, holderIdentity, 'and it is left alone')
    })
  }

  test('whose Lease is gone leads no more half a second later', async () => {
    const world = await electorate()
    const voter = world.join()
    voter.run()
    await world.advance(2_000)
    await world.admin.delete(LEASES, NAMESPACE, 'operator', { uid: (await world.lease())!.metadata.uid! })
    await world.advance(600)
    assert.equal(voter.outcome, 'lost')
  })

  test('a renewal that wrote nothing new, or is answered too late, lengthens no term', async () => {
    const { clock } = await electorate()
    const lease = { apiVersion: '', kind: 'Lease', metadata: { name: 'x', resourceVersion: '1' } }
    const newer = { ...lease, metadata: { name: 'x', resourceVersion: '2' } }
    const term = new Term({ clock, random: seededRandom(1), log: SILENT }, lease, 2_000, clock.monotonic())
    await clock.run(clock.monotonic() + 1_000)
    term.renewed(lease, clock.monotonic())
    await clock.run(clock.monotonic() + 1_000)
    term.renewed(newer, clock.monotonic())
    assert.equal(term.isValid(), false)
    assert.equal(term.isLost, true)
  })

  test('that was paused past its Lease knows on waking, before it does anything', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    leader.pause()
    await world.advance(10_000)
    assert.ok(heir.candidate.isLeader())
    assert.equal(leader.leading!.aborted, false, 'it has not run yet')
    assert.equal(leader.candidate.isLeader(), false, 'and the first thing it asks is answered with no')
    assert.equal(leader.leading!.aborted, true, 'which also ends its work')
    leader.resume()
    await world.advance(1)
    assert.equal(leader.outcome, 'lost')
    await world.advance(20_000)
    assert.deepEqual(world.leaders(), [heir])
  })

  test('that was paused for a moment goes on leading', async () => {
    const { world, leader } = await leaderAndHeir()
    leader.pause()
    await world.advance(1_200)
    leader.resume()
    await world.advance(10_000)
    assert.deepEqual(world.leaders(), [leader])
  })

  test('finds a lost answer of its own, or the label that somebody set, and goes on', async () => {
    const { world, leader } = await leaderAndHeir()
    for (let time = 0; time < 5; time += 1) {
      await world.admin.mergePatch(LEASES, NAMESPACE, 'operator', { metadata: { labels: { time: String(time) } } })
      await world.advance(2_300)
      assert.deepEqual(world.leaders(), [leader])
    }
    assert.equal((await world.lease())!.metadata.labels!['time'], '4', 'and leaves it there')
  })

  test('whose Lease somebody deletes is no leader any more, and another waits until its term is over', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    const deletedAtMs = world.clock.monotonic()
    leader.network = 'lost'
    await world.admin.delete(LEASES, NAMESPACE, 'operator', { uid: (await world.lease())!.metadata.uid! })
    await world.advance(10_000, () => world.leaders().length === 0)
    await world.advance(10_000, () => heir.candidate.isLeader())
    const waitedMs = world.clock.monotonic() - deletedAtMs
    assert.ok(waitedMs >= 3_000 && waitedMs <= 4_100, `${waitedMs} ms`)
    leader.network = 'up'
    await world.advance(1_000)
    assert.equal(leader.outcome, 'lost')
  })

  test('does not notice jumps and stops of the wall clock, nor do those who wait', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    const hourMs = 3_600_000
    for (const [ofLeader, ofHeir] of [
      [hourMs, 0],
      [-hourMs, hourMs],
      [0, -hourMs],
    ] as const) {
      leader.wallOffsetMs = ofLeader
      heir.wallOffsetMs = ofHeir
      await world.advance(10_000)
      assert.deepEqual(world.leaders(), [leader])
    }
    const stoppedAtMs = world.clock.now()
    for (let step = 0; step < 100; step += 1) {
      leader.wallOffsetMs = stoppedAtMs - world.clock.now()
      await world.advance(100)
    }
    assert.deepEqual(world.leaders(), [leader], 'a wall clock that stands still')
  })

  test('whose work fails releases the Lease, and the error is the caller’s', async () => {
    const world = await electorate()
    const voter = world.join()
    const leading = assert.rejects(
      voter.candidate.lead(voter.end.signal, async () => {
        throw new Error('mine')
      }),
      /mine/,
    )
    await world.advance(1_000)
    await leading
    assert.equal((await world.lease())!.spec!.holderIdentity, '')
  })
})

describe('one who waits', () => {
  test('and does not want to any more asks nothing further', async () => {
    const { world, heir } = await leaderAndHeir()
    heir.end.abort()
    await world.advance(100)
    assert.equal(heir.outcome, 'ended')
    heir.requests.length = 0
    await world.advance(10_000)
    assert.equal(heir.requests.length, 0)
  })

  test('and is told to end while it takes the Lease gives it back', async () => {
    const world = await electorate()
    const voter = world.join()
    voter.lagMs = 100
    voter.run()
    await world.advance(5_000, () => voter.requests.some(({ method }) => method === 'POST'))
    voter.end.abort()
    await world.advance(1_000)
    assert.equal(voter.outcome, 'ended')
    assert.equal(voter.leading, undefined, 'the work never began')
    assert.equal((await world.lease())!.spec!.holderIdentity, '')
  })

  test('honours the longer duration that the holder wrote', async () => {
    const world = await electorate()
    const old = world.join({ leaseDurationMs: 15_000, renewDeadlineMs: 10_000 })
    old.run()
    await world.advance(5_000)
    const heir = world.join()
    heir.run()
    old.kill()
    await world.advance(14_000)
    assert.equal(heir.candidate.isLeader(), false)
    await world.advance(2_000)
    assert.equal(heir.candidate.isLeader(), true)
  })
})

describe('writes through a fenced transport', () => {
  test('pass while leading; afterwards they are refused unsent, and reads pass always', async () => {
    const { world, leader, heir } = await leaderAndHeir()
    const sent: string[] = []
    const inner = {
      ...world.transport(),
      request: async ({ method }: { method: string }) => (sent.push(method), { status: 200, headers: {}, body: {} }),
    }
    const fenced = fencedTransport(inner, leader.candidate)
    await fenced.request({ method: 'POST', path: '/api/v1/namespaces/a/pods', body: {} })
    leader.pause()
    await world.advance(5_000)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const)
      await assert.rejects(fenced.request({ method, path: '/api/v1/namespaces/a/pods' }), NotLeadingError)
    await fenced.request({ method: 'GET', path: '/api/v1/namespaces/a/pods' })
    assert.deepEqual(sent, ['POST', 'GET'])
    await assert.rejects(fencedTransport(inner, { isLeader: () => false }).request({ method: 'PUT', path: '/x' }), NotLeadingError)
    assert.ok(heir.candidate.isLeader())
  })
})

test('times that would let two lead at once are refused', () => {
  const make = (times: object) => () =>
    new Candidate({
      env: { clock: new Electorate(1).clock, random: seededRandom(1), log: SILENT },
      transport: new Electorate(1).transport(),
      namespace: NAMESPACE,
      name: 'operator',
      identity: 'x',
      ...times,
    })
  assert.throws(make({ renewDeadlineMs: 3_000 }), /renewDeadlineMs \(3000\) must be less than leaseDurationMs/)
  assert.throws(make({ leaseDurationMs: 3_500 }), /whole seconds/)
  assert.throws(make({ retryPeriodMs: 1_500 }), /at most half/)
})
