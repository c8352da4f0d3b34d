import type { Env } from '../../src/env/env.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { openRedisActivity, type RedisActivity } from '../../src/activity/redis.ts'
import type { RedisServer } from './redis.ts'

export interface Said {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
}

/** An Env on the machine's clock, and what was logged through it. */
export function listeningEnv(): { env: Env; said: Said[] } {
  const said: Said[] = []
  const level = (name: Said['level']) => (_fields: object, message: string) => void said.push({ level: name, message })
  const log = { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') }
  return { env: { clock: systemClock, random: systemRandom, log }, said }
}

/** A connection to the store in that server, and what it logged. */
export async function connectTo(
  server: RedisServer,
  url = server.url,
  redisPrefix = 'test',
): Promise<{ activity: RedisActivity; said: Said[] }> {
  const { env, said } = listeningEnv()
  return { activity: await openRedisActivity({ redis: url, redisCaFile: server.caFile, redisPrefix }, env), said }
}
