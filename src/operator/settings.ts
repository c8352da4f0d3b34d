import { z } from 'zod'
import { redisSettings } from '../activity/settings.ts'
import { BYTES_PATTERN, CPU_PATTERN } from '../crds/quantity.ts'
import { oidcSettings } from '../oidc/settings.ts'
import { arnSettings } from '../sessions/arn-settings.ts'

const quantity = (pattern: string, byDefault: string) => z.string().regex(new RegExp(pattern)).default(byDefault)

/** A comma list of names of Kubernetes objects; none by default. */
const names = () =>
  z
    .string()
    .default('')
    .transform((list) =>
      list
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
    )
    .pipe(z.array(z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'names of Kubernetes objects, separated by commas')))

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
  meterImage: z
    .string()
    .min(1)
    .optional()
    .describe('Image of the meter beside each agent: the one of Carrel itself. Without it, session pods have no meter of their own.'),
  meterCpu: quantity(CPU_PATTERN, '500m').describe('CPU limit of the meter beside each agent.'),
  meterMemory: quantity(BYTES_PATTERN, '64Mi').describe('Memory limit of the meter beside each agent.'),
  meterEphemeralStorage: quantity(BYTES_PATTERN, '16Mi').describe('Storage limit of the meter beside each agent.'),
  meterImagePullSecrets: names().describe(
    'Secrets in each session namespace with which nodes may fetch the image of the meter, by commas.',
  ),
  defaultRuntimeClass: z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/)
    .default('kata-qemu-runtime-rs')
    .describe("RuntimeClass of session pods whose AgentRuntime names none; empty: the cluster's own, which isolates nothing."),
  runtimeClasses: names().describe('RuntimeClasses that an AgentRuntime may name beside the default, by commas.'),
  sessionNamespaces: names().describe('Namespaces whose AgentRuntimes are served, by commas; empty: all.'),
  sessionTtlSeconds: z.coerce.number().int().min(0).default(600).describe('An ended session is removed after this long.'),
})

export type OperatorSettings = z.output<typeof operatorSettings>

/** The meter beside each agent, where this installation has one: its image, and the secret that its keys are made from. */
export function meterBeside({
  artifacts,
  meterImage: image,
  meterSecret: secret,
}: OperatorSettings): { image: string; secret: string } | undefined {
  return artifacts === 'container' && image !== undefined && secret !== undefined ? { image, secret } : undefined
}
