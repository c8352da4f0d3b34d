import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openActivity } from '../../src/activity/open.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { listeningEnv } from '../kit/redis-activity.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'

const never = (): never => assert.fail('the settings name a Redis')

test('who starts before its Redis waits for it as long as it is told to, and says once why', async (t) => {
  if (!needs(t, 'CARREL_TEST_REDIS')) return
  const port = await freePort()
  const { env, said } = listeningEnv()
  const opening = openActivity({ redis: `redis://127.0.0.1:${port}`, redisPrefix: 'test', redisWaitSeconds: 60 }, env, never)
  await eventually(() => said.length > 0, { withinMs: 20_000, because: 'it says that it waits' })
  const server = await RedisServer.start({ port })
  t.after(() => server.stop())
  const opened = await opening
  t.after(() => opened.end())
  assert.deepEqual(await opened.activity.stamp('g', []), [])
  const refused = said.filter(({ message }) => message.includes('ECONNREFUSED'))
  assert.deepEqual(refused, [
    {
      level: 'warn',
      message: `Redis at 127.0.0.1:${port} cannot be reached (ECONNREFUSED): start it, or correct its address; waiting for it`,
    },
  ])
})
