import { z } from 'zod'

/** Account and region of an installation's ARNs, as settings of every process that writes or checks them. */
export const arnSettings = {
  accountId: z
    .string()
    .regex(/^[0-9]{12}$/, 'twelve digits')
    .default('000000000000')
    .describe('Account in the ARNs of this installation.'),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/, "must look like an AWS region, such as us-east-1, or AWS' SDKs refuse the ARNs")
    .default('us-east-1')
    .describe('Region in the ARNs and signatures, and AWS_REGION of the agents.'),
}
