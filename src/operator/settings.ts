import { z } from 'zod'
import { redisSettings } from '../activity/settings.ts'
import { arnSettings } from '../sessions/arn-settings.ts'

/** What an installer decides for the whole installation. */
export const operatorSettings = z.strictObject({
  ...arnSettings,
  ...redisSettings,
  artifacts: z
    .enum(['code', 'container'])
    .default('container')
    .describe('What session pods run here: container images, or code directories as processes.'),
  sessionTtlSeconds: z.coerce.number().int().min(0).default(600).describe('An ended session is removed after this long.'),
})

export type OperatorSettings = z.output<typeof operatorSettings>
