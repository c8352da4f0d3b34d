import { z } from 'zod'

const labelKey = z
  .string()
  .min(1)
  .max(317)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/)
const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/)

const term = z.object({
  matchExpressions: z
    .array(
      z.object({
        key: labelKey,
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']),
        values: z.array(labelValue).max(50).optional(),
      }),
    )
    .min(1)
    .max(10),
})

const toleration = z.object({
  key: labelKey.optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: labelValue.optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: z.int().min(0).max(86_400).optional(),
})

/** Kubernetes' own words, of a Pod's spec; affinity to nodes only, as sessions are strangers to one another. */
export const placement = z
  .object({
    nodeSelector: z.record(z.string(), labelValue).meta({ maxProperties: 16 }).optional().describe('Labels that a node must have.'),
    tolerations: z.array(toleration).max(20).optional().describe('Taints of nodes that do not keep sessions away.'),
    affinity: z
      .object({
        nodeAffinity: z.object({
          requiredDuringSchedulingIgnoredDuringExecution: z.object({ nodeSelectorTerms: z.array(term).min(1).max(10) }).optional(),
          preferredDuringSchedulingIgnoredDuringExecution: z
            .array(z.object({ weight: z.int().min(1).max(100), preference: term }))
            .max(10)
            .optional(),
        }),
      })
      .optional()
      .describe('Which nodes are possible or preferred, in finer words than nodeSelector.'),
  })
  .describe('On which nodes sessions run.')

export type Placement = z.output<typeof placement>
