import { z } from 'zod'
import { redisSettings } from '../activity/settings.ts'
import { oidcSettings } from '../oidc/settings.ts'
import { arnSettings } from '../sessions/arn-settings.ts'
import { DEFAULT_CONNECTIONS_PER_ADDRESS } from './limits/connections.ts'

/** What an installer decides for a gateway. */
const fields = z.object({
  ...arnSettings,
  ...redisSettings,
  ...oidcSettings,
  host: z.string().default('0.0.0.0').describe('Address to listen on.'),
  port: z.coerce.number().int().min(0).max(65_535).default(8700).describe('Port to listen on; 0 takes any free one.'),
  hosts: z.string().optional().describe('Comma-separated Host headers that are served, PORT for the port; without it, any.'),
  spoolDirectory: z.string().default('/tmp').describe('Folder for large payloads until they are verified.'),
  publicUrl: z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe('Where callers reach this gateway, for the documents that name it; without it, by http at the Host of their request.'),
  connectionsPerAddress: z.coerce
    .number()
    .int()
    .min(0)
    .default(DEFAULT_CONNECTIONS_PER_ADDRESS)
    .describe('Connections that one client address may hold open; 0 for any number, where all come through one proxy.'),
  logSubjects: z
    .stringbool()
    .or(z.boolean())
    .default(false)
    .describe('Write the subjects of tokens and the ids of users into the access log as they are, not by hash.'),
  drainSeconds: z.coerce.number().min(0).default(30).describe('How long open calls get on SIGTERM.'),
  proof: z
    .enum(['meter', 'none'])
    .default('meter')
    .describe("Whether each new connection to a pod is proven by the pod's meter; none only on a laptop, where no address is used twice."),
  meterSecret: z
    .string()
    .min(32)
    .optional()
    .describe("What the keys of meters are made from, the operator's; needed with proof=meter. Set the variable, never the flag."),
  kubeconfig: z.string().optional().describe('Kubeconfig file; without one, the service account of the pod.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
})

/** Refuses to trust addresses by oversight: without a proof it has to be told so. */
export const gatewaySettings = fields.refine(({ proof, meterSecret }) => proof === 'none' || meterSecret !== undefined, {
  path: ['meterSecret'],
  error: "proof=meter needs the operator's meter secret: set CARREL_METER_SECRET to the same 32 characters or more",
})
