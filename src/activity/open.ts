/** Adapter: the activity store of a process, as its settings say. */
import { sleep } from '../env/clock.ts'
import type { Env } from '../env/env.ts'
import type { Activity } from './activity.ts'
import { ActivitySetupError } from './errors.ts'
import { openRedisActivity, type RedisActivity } from './redis.ts'
import type { RedisSettings } from './settings.ts'

export interface OpenActivity {
  activity: Activity
  /** Ends its connection, which otherwise keeps the process alive. */
  end(): void
}

const RETRY_MS = 500

/** Redis, where the settings name one; otherwise what `without` makes. One that cannot be used is logged in one line, and the process exits with 1. */
export async function openActivity(
  settings: Omit<RedisSettings, 'redis'> & { redis?: string | undefined },
  env: Env,
  without: () => Activity,
): Promise<OpenActivity> {
  const { redis } = settings
  if (redis === undefined) return { activity: without(), end: () => {} }
  try {
    const activity = await openPatiently({ ...settings, redis }, env)
    return { activity, end: () => activity.disconnect() }
  } catch (error) {
    if (!(error instanceof ActivitySetupError)) throw error
    env.log.error({}, error.message)
    return process.exit(1)
  }
}

/** On a cluster Redis may start after those who need it. Each reason to wait is said once. */
async function openPatiently(settings: RedisSettings, env: Env): Promise<RedisActivity> {
  const untilMs = env.clock.monotonic() + (settings.redisWaitSeconds ?? 0) * 1000
  let said = ''
  for (;;) {
    try {
      return await openRedisActivity(settings, env)
    } catch (error) {
      if (!(error instanceof ActivitySetupError) || env.clock.monotonic() >= untilMs) throw error
      if (error.message !== said) env.log.warn({}, `${error.message}; waiting for it`)
      said = error.message
      await sleep(env.clock, RETRY_MS)
    }
  }
}
