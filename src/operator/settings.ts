import { z } from 'zod'
import { redisSettings } from '../activity/settings.ts'
import { oidcSettings } from '../oidc/settings.ts'
import { arnSettings } from '../sessions/arn-settings.ts'

/** What an installer decides for the whole installation. */
export const operatorSettings = z.strictObject({
  ...arnSettings,
  ...redisSettings,
  ...oidcSettings,
  artifacts: z
    .enum(['code', 'container'])
    .default('container')
    .describe('What session pods run here: container images, or code directories as processes.'),
  meterUrl: z
    .url({ protocol: /^http$/ })
    .optional()
    .describe('Address of one meter for all pods, such as http://127.0.0.1:9465; without one, each pod has a meter of its own.'),
  meterSecret: z
    .string()
    .min(32)
    .optional()
    .describe('What the keys of meters are made from; set the variable, never the flag. Without it no usage is read.'),
  sessionTtlSeconds: z.coerce.number().int().min(0).default(600).describe('An ended session is removed after this long.'),
})

export type OperatorSettings = z.output<typeof operatorSettings>
