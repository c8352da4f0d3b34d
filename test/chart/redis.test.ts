import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { openRedisActivity } from '../../src/activity/redis.ts'
import { eventually } from '../kit/eventually.ts'
import { listeningEnv } from '../kit/redis-activity.ts'
import { needs } from '../kit/ring.ts'
import { startRedisInside, type RedisInside } from './redis-inside.ts'

const USERS = ['operator', 'gateway'] as const
let opened: Promise<RedisInside> | undefined
after(async () => (await opened)?.stop())

async function redis(t: TestContext): Promise<RedisInside | undefined> {
  if (!needs(t, 'CARREL_TEST_HELM') || !needs(t, 'CARREL_TEST_REDIS')) return undefined
  return (opened ??= startRedisInside({}))
}

async function activityOf(t: TestContext, inside: RedisInside, user: string) {
  const { env } = listeningEnv()
  const activity = await openRedisActivity({ redis: inside.urlOf(user), redisCaFile: inside.caFile, redisPrefix: 'carrel' }, env)
  t.after(() => activity.disconnect())
  return activity
}

test('who shows no password, or a wrong one, may do nothing', async (t) => {
  const inside = await redis(t)
  if (!inside) return
  await assert.rejects(inside.client().call('PING'), /NOAUTH/)
  await assert.rejects(inside.client({ username: 'default', password: '' }).call('PING'), /NOAUTH|WRONGPASS|invalid/)
  for (const username of [...USERS, 'default'])
    await assert.rejects(inside.client({ username, password: 'guessed' }).call('PING'), /WRONGPASS|NOAUTH/)
})

for (const user of USERS) {
  test(`the ${user} can do all that the activity store is for`, async (t) => {
    const inside = await redis(t)
    if (!inside) return
    const activity = await activityOf(t, inside, user)
    const open = { podUID: `pod-of-${user}`, idleMs: 60_000, open: true }
    assert.equal((await activity.touch(user, open)).closed, false)
    assert.equal((await activity.stamp(user, [open]))[0]!.closed, false)
    assert.equal(await activity.isHeld(open.podUID, 'another'), true)
    assert.equal((await activity.close(open.podUID, 60_000, [])).closed, false)
    assert.equal((await activity.look([open.podUID])).length, 1)
    await activity.register('later', 1_000)
    await activity.forget([open.podUID, 'later'])
  })

  test(`the ${user} can do no more: not configure, not empty, not list, not stop, not touch another's keys`, async (t) => {
    const inside = await redis(t)
    if (!inside) return
    const client = inside.client({ username: user, password: inside.passwordOf(user) })
    const refused: string[][] = [
      ['CONFIG', 'SET', 'appendonly', 'no'],
      ['CONFIG', 'GET', '*'],
      ['FLUSHALL'],
      ['FLUSHDB'],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['SHUTDOWN', 'NOSAVE'],
      ['ACL', 'LIST'],
      ['ACL', 'SETUSER', 'default', 'on', 'nopass', '+@all', '~*'],
      ['MONITOR'],
      ['CLIENT', 'LIST'],
      ['REPLICAOF', 'evil.example', '6379'],
      ['MODULE', 'LIST'],
      ['SCRIPT', 'FLUSH'],
      ['SELECT', '1'],
      ['PUBLISH', 'a', 'b'],
      ['SET', 'carrel:{carrel}:clock', '0'],
      ['HSET', 'carrel:{another}:clock', 'now', '0'],
      ['HGETALL', 'another'],
      ['EVAL', "return redis.call('HSET', KEYS[1], 'a', 'b')", '1', 'another'],
      ['EVAL', "return redis.call('HSET', 'another', 'a', 'b')", '0'],
      ['EVAL', "return redis.call('FLUSHALL')", '0'],
      ['EVAL', "return redis.call('CONFIG', 'GET', '*')", '0'],
    ]
    for (const [command, ...parameters] of refused)
      await assert.rejects(
        client.call(command!, ...parameters),
        /NOPERM|can't run this command|can't access at least one of the keys|not allowed from script/,
        [command, ...parameters].join(' '),
      )
    assert.equal(await client.call('HSET', 'carrel:{carrel}:pod:own', 'idle', '1'), 1, 'its own keys it writes')
    await client.call('DEL', 'carrel:{carrel}:pod:own')
  })
}

test('a close is not forgotten when its node loses power', async (t) => {
  const inside = await redis(t)
  if (!inside) return
  const activity = await activityOf(t, inside, 'operator')
  await activity.register('closed', 0)
  assert.deepEqual(await activity.close('closed', 0, []), { closed: true })
  // The append-only file is written once a second.
  const client = inside.client({ username: 'operator', password: inside.passwordOf('operator') })
  const isWritten = async (): Promise<boolean> => {
    const info = await client.info()
    return info.includes('aof_pending_bio_fsync:0') && info.includes('aof_buffer_length:0')
  }
  await eventually(isWritten, { withinMs: 10_000, because: 'the file is written' })
  await inside.restart()
  const afterwards = await activityOf(t, inside, 'gateway')
  assert.equal((await afterwards.touch('g', { podUID: 'closed', idleMs: 1_000, open: true })).closed, true)
})

test('with a certificate it speaks TLS only', async (t) => {
  if (!needs(t, 'CARREL_TEST_HELM') || !needs(t, 'CARREL_TEST_REDIS')) return
  const inside = await startRedisInside({ redis: { tlsSecret: 'redis-tls' } }, { tls: true })
  t.after(() => inside.stop())
  assert.match(inside.urlOf('gateway'), /^rediss:/)
  const activity = await activityOf(t, inside, 'gateway')
  assert.deepEqual(await activity.stamp('g', []), [])
})
