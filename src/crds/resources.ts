import { z } from 'zod'
import { bytes, cpu, thousandths, type Quantity } from './quantity.ts'

/** A session gets no more than this. All three: a Kata machine without a memory limit boots with some 32 MiB. */
export const DEFAULT_RESOURCES: Resources = { limits: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '2Gi' } }

/** What a node sets aside for a session that says nothing, or the limit, where that is lower. */
export const DEFAULT_REQUESTS = { cpu: '50m', memory: '256Mi', 'ephemeral-storage': '64Mi' } as const

export interface Resources {
  limits: { cpu: Quantity; memory: Quantity; 'ephemeral-storage': Quantity }
  requests?: { cpu?: Quantity | undefined; memory?: Quantity | undefined; 'ephemeral-storage'?: Quantity | undefined } | undefined
}

const { limits } = DEFAULT_RESOURCES

export const resources = z
  .object({
    limits: z
      .object({
        cpu: cpu().default(limits.cpu).describe('CPUs, such as 500m or 2. More is throttled.'),
        memory: bytes().default(limits.memory).describe('Such as 512Mi. More ends the session as OutOfMemory.'),
        'ephemeral-storage': bytes()
          .default(limits['ephemeral-storage'])
          .describe('What the agent writes to its own file system, such as 2Gi. More ends the session as StorageExceeded.'),
      })
      .default(limits)
      .describe('The most that one session gets.'),
    requests: z
      .object({
        cpu: cpu().optional().describe('By default 50m.'),
        memory: bytes().optional().describe('By default 256Mi.'),
        'ephemeral-storage': bytes().optional().describe('By default 64Mi.'),
      })
      .optional()
      .describe(
        'What the node sets aside for one session: a default, or the limit, where that is lower. Sessions may be short of the rest.',
      ),
  })
  .default(DEFAULT_RESOURCES)
  .describe('Of the agent, in each session.')

/** Kubernetes would refuse the pod of each session instead. */
export const resourceRules = (['cpu', 'memory', 'ephemeral-storage'] as const).map((name) => {
  const field = name.replace('-', '__dash__')
  return {
    path: 'spec.resources',
    cel: [
      `!has(self.requests) || !has(self.requests.${field}) ||`,
      `quantity(string(self.requests.${field})).compareTo(quantity(string(self.limits.${field}))) <= 0`,
    ].join(' '),
    holds: ({ requests, limits: { [name]: limit } }: Resources) =>
      requests?.[name] === undefined || thousandths(requests[name]) <= thousandths(limit),
    message: `requests.${name} must not be above limits.${name} (by default ${limits[name]})`,
    fieldPath: '.requests',
  }
})
