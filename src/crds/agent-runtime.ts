import { z } from 'zod'
import type { KubeObject } from '../kube/objects.ts'
import { authorizer, authorizerRules } from './authorizer.ts'
import { conditions } from './conditions.ts'
import { defineKind } from './define-kind.ts'
import { environment, environmentRules, secretName } from './environment.ts'
import { placement } from './placement.ts'
import { resourceRules, resources } from './resources.ts'
import { securityContext } from './security-context.ts'
import { volumeRules, volumes } from './volumes.ts'

/** Names that the session pods' names can carry: 35 + 1 + 20 + 1 + 6 characters fit the 63 of a DNS label. */
export const RUNTIME_NAME = { pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$', maxLength: 35 }

/** Fourteen days: the longest lifetime that AgentCore's schema knows (contract 2.12). */
const LONGEST_LIFETIME_SECONDS = 1_209_600

/** Of AgentCore's own quotas, what one team's cluster can take; every one can be raised. */
export const DEFAULT_LIMITS = {
  sessions: 1_000,
  sessionsPerOwner: 100,
  newSessionsPerSecond: 25,
  callsPerSecondPerOwner: 100,
  endedSessions: 1_000,
}

/** SDK agents hold SIGTERM for 10 s while a stream is open, and a stop is due within 5. */
export const DEFAULT_LIFECYCLE = { idleTimeoutSeconds: 900, maxLifetimeSeconds: 28_800, stopGraceSeconds: 4 }

const command = z.array(z.string().min(1).max(4096)).min(1).max(64)

const specSchema = z.object({
  artifact: z
    .object({
      container: z
        .object({
          image: z.string().min(1).max(1024).describe('Image of the agent. Used where session pods are containers.'),
          command: command.optional().describe("Replaces the image's entrypoint."),
          args: z.array(z.string().max(4096)).max(64).optional(),
          imagePullPolicy: z
            .enum(['Always', 'IfNotPresent', 'Never'])
            .optional()
            .describe('When a node fetches the image; by default Always for the tag latest, else IfNotPresent.'),
          imagePullSecrets: z
            .array(z.object({ name: secretName }))
            .max(10)
            .optional()
            .describe("Secrets of the runtime's namespace with which a node may fetch the image."),
        })
        .optional(),
      code: z
        .object({
          directory: z
            .string()
            .min(1)
            .max(4096)
            .describe('Directory of the code, relative to where `npm start` ran. Used where session pods are processes.'),
          command: command.describe('Started in a private copy of the directory.'),
        })
        .optional(),
    })
    .describe('What to run. A cluster runs the container, a laptop the code; one manifest can carry both.'),
  protocol: z.enum(['HTTP']).default('HTTP').describe('What the agent speaks (contract 1.1). HTTP: port 8080, /invocations and /ping.'),
  environment: environment.optional(),
  resources,
  securityContext,
  runtimeClassName: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .optional()
    .describe('RuntimeClass that isolates sessions: one of those that the installation allows; by default the one that it names.'),
  serviceAccountName: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .optional()
    .describe("ServiceAccount of the runtime's namespace whose token the agent gets. Without one it gets no token."),
  placement: placement.optional(),
  volumes: volumes.optional(),
  authorizer: authorizer.optional(),
  sessionOwnership: z
    .enum(['Caller', 'Runtime'])
    .default('Caller')
    .describe("Caller: a session id is its caller's own. Runtime: whoever may invoke shares it, as on AgentCore. Never changes."),
  limits: z
    .object({
      sessions: z.int().min(1).max(1_000_000).default(1_000).describe('Live sessions of the runtime; one more is refused with 402.'),
      sessionsPerOwner: z.int().min(1).max(1_000_000).default(100).describe('Live sessions of one owner; one more is refused with 402.'),
      newSessionsPerSecond: z.int().min(1).max(10_000).default(25).describe('Sessions opened a second, by each gateway; more get 429.'),
      callsPerSecondPerOwner: z
        .int()
        .min(1)
        .max(100_000)
        .default(100)
        .describe('Calls a second of one owner, at each gateway; more get 429.'),
      endedSessions: z.int().min(0).max(100_000).default(1_000).describe('Ended sessions that stay listed; the oldest go first.'),
    })
    .default(DEFAULT_LIMITS)
    .describe('Contract 4.2. What a runtime and its callers may take.'),
  endpoints: z
    .array(
      z.object({
        name: z
          .string()
          .min(1)
          .max(48)
          .regex(/^[a-zA-Z][a-zA-Z0-9_]*$/)
          .describe('What callers name as the qualifier.'),
        version: z.int().min(1).max(99_999).describe('The version that its calls run, and whose authorizer judges them.'),
      }),
    )
    .max(10)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional()
    .describe('Named endpoints, pinned to a version (contract 3.4). DEFAULT always follows the latest.'),
  requestHeaders: z
    .object({
      allow: z
        .array(
          z
            .string()
            .regex(/^[A-Za-z][A-Za-z0-9_-]{0,255}$/)
            .max(256),
        )
        .min(1)
        .max(20)
        .describe('Request headers that reach the agent (contract 1.2). Hop-by-hop, cookie and platform headers never do.'),
    })
    .optional(),
  lifecycle: z
    .object({
      idleTimeoutSeconds: z
        .int()
        .min(1)
        .max(LONGEST_LIFETIME_SECONDS)
        .default(900)
        .describe('A session without calls, open streams and HealthyBusy ends after this long.'),
      maxLifetimeSeconds: z
        .int()
        .min(1)
        .max(LONGEST_LIFETIME_SECONDS)
        .default(28_800)
        .describe('A session ends this long after it started, whatever it does.'),
      stopGraceSeconds: z
        .int()
        .min(1)
        .max(600)
        .default(4)
        .describe('Between SIGTERM and SIGKILL. While it lasts, the next call of the session waits.'),
    })
    .default(DEFAULT_LIFECYCLE),
  startTimeoutSeconds: z
    .int()
    .min(1)
    .max(600)
    .default(45)
    .describe("An agent must answer GET /ping within this. Below boto3's own 60 s, so that callers see the reason."),
})

const statusSchema = z.object({
  observedGeneration: z.int().min(0).optional(),
  agentRuntimeId: z.string().max(64).optional().describe('Computed from metadata.uid; nobody else can have it.'),
  agentRuntimeArn: z.string().max(256).optional().describe('What callers name in InvokeAgentRuntime.'),
  latestVersion: z.int().min(1).optional(),
  endpoints: z
    .array(z.object({ name: z.string().max(48), version: z.int().min(1) }))
    .max(11)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional(),
  conditions: conditions.optional(),
})

export type AgentRuntimeSpec = z.output<typeof specSchema>
export type AgentRuntimeStatus = z.output<typeof statusSchema>

export interface AgentRuntime extends KubeObject {
  spec: AgentRuntimeSpec
  status?: AgentRuntimeStatus
}

export const AGENT_RUNTIMES = defineKind<AgentRuntime>({
  kind: 'AgentRuntime',
  plural: 'agentruntimes',
  singular: 'agentruntime',
  shortNames: ['art'],
  description: 'An agent that can be invoked: what to run, and how its sessions live.',
  nameRule: RUNTIME_NAME,
  spec: specSchema,
  status: statusSchema,
  rules: [
    {
      path: 'spec.artifact',
      cel: 'has(self.container) || has(self.code)',
      holds: (artifact: AgentRuntimeSpec['artifact']) => artifact.container !== undefined || artifact.code !== undefined,
      message: 'name what to run: artifact.container for a cluster, artifact.code for a laptop, or both',
    },
    {
      path: 'spec.lifecycle',
      cel: 'self.idleTimeoutSeconds <= self.maxLifetimeSeconds',
      holds: (lifecycle: AgentRuntimeSpec['lifecycle']) => lifecycle.idleTimeoutSeconds <= lifecycle.maxLifetimeSeconds,
      message: 'idleTimeoutSeconds (by default 900) must not be above maxLifetimeSeconds (by default 28800)',
      fieldPath: '.idleTimeoutSeconds',
    },
    {
      path: 'spec.sessionOwnership',
      cel: 'self == oldSelf',
      holdsOnUpdate: (now: string, before: string) => now === before,
      message: 'sessionOwnership never changes: make another AgentRuntime',
    },
    {
      path: 'spec.endpoints',
      cel: "self.all(endpoint, endpoint.name != 'DEFAULT')",
      holds: (endpoints: { name: string }[]) => endpoints.every(({ name }) => name !== 'DEFAULT'),
      message: 'DEFAULT is there by itself and follows the latest version',
    },
    ...environmentRules,
    ...resourceRules,
    ...volumeRules,
    ...authorizerRules,
  ],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    { name: 'Version', type: 'integer', jsonPath: '.status.latestVersion' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
    { name: 'ARN', type: 'string', jsonPath: '.status.agentRuntimeArn', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
})
