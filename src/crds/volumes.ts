import { z } from 'zod'
import { METER_SECRET_PREFIX, secretName } from './environment.ts'
import { bytes } from './quantity.ts'

export const DEFAULT_SIZE_LIMIT = '1Gi'

const items = z
  .array(z.object({ key: z.string().min(1).max(253), path: z.string().min(1).max(253) }))
  .min(1)
  .max(20)
  .optional()
  .describe('These keys only, as files of these names.')

/** The safe kinds: nothing of the node, nothing that carries an identity of its own. */
const volume = z.object({
  name: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/),
  mountPath: z
    .string()
    .min(2)
    .max(255)
    .regex(/^\/[^:]*[^:/]$/)
    .describe('Where the agent finds it.'),
  readOnly: z.boolean().optional(),
  emptyDir: z
    .object({
      sizeLimit: bytes().default(DEFAULT_SIZE_LIMIT).describe('More ends the session.'),
      medium: z.enum(['Memory']).optional().describe('Memory: files count as memory of the agent.'),
    })
    .optional()
    .describe("The session's own, empty at its start and gone with its pod."),
  persistentVolumeClaim: z
    .object({ claimName: secretName })
    .optional()
    .describe('Shared by all sessions of the runtime: never a place for what is of one owner.'),
  secret: z.object({ secretName, items }).optional().describe("A Secret of the runtime's namespace. The node reads it; Carrel never does."),
  configMap: z.object({ name: secretName, items }).optional().describe("A ConfigMap of the runtime's namespace."),
})

export const volumes = z
  .array(volume)
  .max(10)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe('Each one costs a session up to 0.3 s at its start.')

export type Volumes = z.output<typeof volumes>

const SOURCES = ['emptyDir', 'persistentVolumeClaim', 'secret', 'configMap'] as const

export const volumeRules = [
  {
    path: 'spec.volumes',
    cel: `self.all(volume, [${SOURCES.map((source) => `has(volume.${source})`).join(', ')}].filter(one, one).size() == 1)`,
    holds: (all: Volumes) => all.every((each) => SOURCES.filter((source) => each[source] !== undefined).length === 1),
    message: 'each volume takes exactly one of emptyDir, persistentVolumeClaim, secret and configMap',
  },
  {
    path: 'spec.volumes',
    cel: 'self.all(volume, self.exists_one(other, other.mountPath == volume.mountPath))',
    holds: (all: Volumes) => new Set(all.map(({ mountPath }) => mountPath)).size === all.length,
    message: 'two volumes have the same mountPath',
  },
  {
    path: 'spec.volumes',
    cel: `self.all(volume, !has(volume.secret) || !volume.secret.secretName.startsWith('${METER_SECRET_PREFIX}'))`,
    holds: (all: Volumes) => all.every(({ secret }) => !secret?.secretName.startsWith(METER_SECRET_PREFIX)),
    message: `Secrets named ${METER_SECRET_PREFIX}... are Carrel's own: give yours another name`,
  },
]
