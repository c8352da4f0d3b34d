import { z } from 'zod'

/** Where the activity store is: the same for every operator and gateway of an installation. */
export const redisSettings = {
  redis: z
    .string()
    .optional()
    .describe(
      'URL of the Redis that operators and gateways share, redis:// or rediss:// (TLS); the variable keeps a password off the process list.',
    ),
  redisCaFile: z
    .string()
    .optional()
    .describe("PEM file of the authority that signed Redis' certificate; without one, the public authorities."),
  redisPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'letters, digits, ".", "_" and "-", at most 64')
    .default('carrel')
    .describe('Name of this installation among those that share a Redis.'),
  redisWaitSeconds: z.coerce
    .number()
    .min(0)
    .optional()
    .describe('How long to wait at start for a Redis that cannot be used yet; without it, one attempt.'),
}

export interface RedisSettings {
  redis: string
  redisCaFile?: string | undefined
  redisPrefix: string
  redisWaitSeconds?: number | undefined
}
