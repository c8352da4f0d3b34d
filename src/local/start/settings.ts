import { z } from 'zod'
import { redisSettings } from '../../activity/settings.ts'
import { oidcSettings } from '../../oidc/settings.ts'

/** Flags of `npm start`; each is also a variable, CARREL_ and the name in capitals. */
export const localSettings = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(8700).describe('Port of the gateway on 127.0.0.1; 0 takes any free one.'),
  apiPort: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(8701)
    .describe('Port of the embedded Kubernetes API on 127.0.0.1; 0 takes any free one.'),
  kubeconfig: z
    .string()
    .optional()
    .describe('Join the control plane of this machine that this kubeconfig names, as its administrator, in place of the embedded API.'),
  replicas: z.coerce
    .number()
    .int()
    .min(1)
    .max(5)
    .optional()
    .describe('Run this many operators and gateways as processes of their own, behind one port; needs --redis.'),
  ...redisSettings,
  ...oidcSettings,
  home: z.string().min(1).default('.carrel').describe('Folder for all state, logs and credentials.'),
  hello: z.stringbool().or(z.boolean()).default(true).describe('Leave out the example and its first call.'),
  onlyApi: z
    .stringbool()
    .or(z.boolean())
    .default(false)
    .describe(
      'Run the API and its kubelet alone; operator and gateway are then processes of their own, with the kubeconfigs in the home folder.',
    ),
  sessionTtl: z.coerce.number().int().min(0).default(600).describe('Seconds that an ended session stays listed.'),
  region: z.string().default('us-east-1').describe('Region in the ARNs, and AWS_REGION of the agents.'),
  accountId: z
    .string()
    .regex(/^[0-9]{12}$/, 'twelve digits')
    .default('000000000000')
    .describe('Account in the ARNs.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
})

export type LocalSettings = z.output<typeof localSettings>
