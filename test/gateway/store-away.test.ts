import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ActivityUnavailableError } from '../../src/activity/errors.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from '../search/virtual-installation.ts'

const never = new AbortController().signal

test('with the activity store away, a call that has to ask it is told to come again, and a later one is served', async () => {
  const world = new VirtualInstallation(11)
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 60, maxLifetimeSeconds: 3600 })
  const first = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 60_000)
  assert.ok(first.outcome === 'entered')
  first.release()
  await world.advance(2_000)

  const touch = world.activity.touch.bind(world.activity)
  world.activity.touch = async () => Promise.reject(new ActivityUnavailableError('Redis does not answer in time'))
  const live = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 10_000)
  assert.ok(live.outcome === 'entered', 'its deadline is far: nobody is asked')
  live.release()
  const asking = await world.settle(world.desk.enter(target, CALLER, `${SESSION_ID}-another`, never), 60_000)
  assert.deepEqual(asking, { outcome: 'unavailable', retryAfterMs: 1_000 })

  world.activity.touch = touch
  const again = await world.settle(world.desk.enter(target, CALLER, `${SESSION_ID}-another`, never), 60_000)
  assert.equal(again.outcome, 'entered')
  world.stop()
})
