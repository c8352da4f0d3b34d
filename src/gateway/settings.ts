import { z } from 'zod'
import { redisSettings } from '../activity/settings.ts'
import { arnSettings } from '../sessions/arn-settings.ts'

/** What an installer decides for a gateway. */
export const gatewaySettings = z.object({
  ...arnSettings,
  ...redisSettings,
  host: z.string().default('0.0.0.0').describe('Address to listen on.'),
  port: z.coerce.number().int().min(0).max(65_535).default(8700).describe('Port to listen on; 0 takes any free one.'),
  hosts: z.string().optional().describe('Comma-separated Host headers that are served, PORT for the port; without it, any.'),
  spoolDirectory: z.string().default('/tmp').describe('Folder for large payloads until they are verified.'),
  logReaders: z
    .string()
    .default('')
    .describe('Comma-separated Kubernetes users whose answers show the last log lines of an agent that failed.'),
  drainSeconds: z.coerce.number().min(0).default(30).describe('How long open calls get on SIGTERM.'),
  kubeconfig: z.string().optional().describe('Kubeconfig file; without one, the service account of the pod.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
})
