import { z } from 'zod'

/** What an installer decides for the whole installation. */
export const operatorSettings = z.strictObject({
  accountId: z
    .string()
    .regex(/^[0-9]{12}$/, 'twelve digits')
    .default('000000000000')
    .describe('Account in the ARNs of this installation.'),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/, "must look like an AWS region, such as us-east-1, or AWS' SDKs refuse the ARNs")
    .default('us-east-1')
    .describe('Region in the ARNs, and AWS_REGION of the agents.'),
  artifacts: z
    .enum(['code', 'container'])
    .default('container')
    .describe('What session pods run here: container images, or code directories as processes.'),
  sessionTtlSeconds: z.coerce.number().int().min(0).default(600).describe('An ended session is removed after this long.'),
})

export type OperatorSettings = z.output<typeof operatorSettings>
