import { z } from 'zod'

/** Names of Secrets that hold keys of meters begin like this: no runtime may refer to one, or its agent could vouch for another's pod. */
export const METER_SECRET_PREFIX = 'meter-'

export const secretName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

const variable = z.object({
  name: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
  value: z.string().max(5000).optional(),
  valueFrom: z
    .object({
      secretKeyRef: z.object({
        name: secretName.describe("Of a Secret in the runtime's namespace. The node reads it; Carrel never does."),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/),
        optional: z.boolean().optional().describe('Start without the variable where the Secret or the key is missing.'),
      }),
    })
    .optional(),
})

export const environment = z
  .array(variable)
  .max(50)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe('Environment of the agent. It wins over what Carrel injects.')

export type Environment = z.output<typeof environment>

export const environmentRules = [
  {
    path: 'spec.environment',
    cel: 'self.all(variable, has(variable.value) != has(variable.valueFrom))',
    holds: (variables: Environment) => variables.every(({ value, valueFrom }) => (value === undefined) !== (valueFrom === undefined)),
    message: 'each variable takes either value or valueFrom.secretKeyRef',
  },
  {
    path: 'spec.environment',
    cel: `self.all(variable, !has(variable.valueFrom) || !variable.valueFrom.secretKeyRef.name.startsWith('${METER_SECRET_PREFIX}'))`,
    holds: (variables: Environment) => variables.every(({ valueFrom }) => !valueFrom?.secretKeyRef.name.startsWith(METER_SECRET_PREFIX)),
    message: `Secrets named ${METER_SECRET_PREFIX}... are Carrel's own: give yours another name`,
  },
]
