/** Adapter: the activity store of a process, as its settings say. */
import type { Env } from '../env/env.ts'
import type { Activity } from './activity.ts'
import { ActivitySetupError } from './errors.ts'
import { openRedisActivity } from './redis.ts'
import type { RedisSettings } from './settings.ts'

export interface OpenActivity {
  activity: Activity
  /** Ends its connection, which otherwise keeps the process alive. */
  end(): void
}

/** Redis, where the settings name one; otherwise what `without` makes. One that cannot be used is logged in one line, and the process exits with 1. */
export async function openActivity(
  settings: Omit<RedisSettings, 'redis'> & { redis?: string | undefined },
  env: Env,
  without: () => Activity,
): Promise<OpenActivity> {
  const { redis } = settings
  if (redis === undefined) return { activity: without(), end: () => {} }
  try {
    const activity = await openRedisActivity({ ...settings, redis }, env)
    return { activity, end: () => activity.disconnect() }
  } catch (error) {
    if (!(error instanceof ActivitySetupError)) throw error
    env.log.error({}, error.message)
    return process.exit(1)
  }
}
