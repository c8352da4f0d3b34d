import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { KubeObject } from '../kube/objects.ts'
import { END_REASONS } from '../sessions/end-reason.ts'
import { mayReopen } from '../sessions/state.ts'
import { conditions } from './conditions.ts'
import { defineKind } from './define-kind.ts'

export const PHASES = ['Pending', 'Running', 'Terminating', 'Terminated'] as const
export type Phase = (typeof PHASES)[number]

/** Written by gateways only (design 2). */
const specSchema = z.object({
  runtimeRef: z.object({ name: z.string().min(1).max(35), uid: z.string().min(1).max(64) }),
  endpoint: z.string().min(1).max(48),
  sessionId: z.string().min(33).max(256).describe("The caller's session id (contract 2.1)."),
  owner: z.object({
    kind: z.string().min(1).max(32),
    issuer: z.string().min(1).max(1024),
    subject: z.string().min(1).max(1024),
  }),
  incarnation: z.int().min(1).describe('Raised by one to reopen the session, only while it is Terminated at the same incarnation.'),
  stopThrough: z.int().min(0).default(0).describe('This incarnation and all before it are to end. Never lowered.'),
  stopTokens: z.array(z.string().max(256)).max(4).optional().describe('Client tokens of the last stops: a repeated stop is the same stop.'),
})

/** Seconds, or gigabyte-seconds, with three decimals: exact in text, where a float is not. */
const amount = z
  .string()
  .max(32)
  .regex(/^[0-9]+\.[0-9]{3}$/)

/** What incarnations used, each by one rule of a price book (contract 5). */
const used = {
  cpuSeconds: amount.describe('CPU time that was really used.'),
  memoryPeakGBSeconds: amount.describe('Each second at the peak so far, at least 128 MB (price book V1).'),
  memoryInUseGBSeconds: amount.describe('Each second at the most of the last 120 s, at least 128 MB (price book V2).'),
}

const usage = z
  .object({
    incarnation: z.int().min(1),
    sequence: z.int().min(0).describe('Of the reading; a higher one replaces a lower one.'),
    final: z.boolean().describe('Nothing will be added to this incarnation.'),
    ...used,
    measuredSeconds: amount.describe('Time that was measured.'),
    bridgedSeconds: amount.optional().describe('Of it, gaps between two readings that were filled from both ends.'),
    missedSeconds: amount.optional().describe('At the end, nobody measured for this long: the figures are short by at most that and 1 s.'),
    source: z.string().max(32).optional().describe('Where it was read: ProcessTree, CgroupV2, CgroupV1, Guest.'),
    updatedAt: z.string().max(32),
  })
  .describe('Of the incarnation that it names. Written when it has ended, and while it lives at most once a minute.')

/** Written by the operator only (design 2). Activity is never here. */
const statusSchema = z.object({
  incarnation: z.int().min(1).optional().describe('The incarnation that this status speaks of.'),
  phase: z.enum(PHASES).optional(),
  version: z.int().min(1).optional().describe("The runtime's version that the pod runs, for its whole life."),
  podName: z.string().max(63).optional(),
  podUID: z.string().max(64).optional().describe('Set once per incarnation. Only the pod with this UID is routed to.'),
  startedAt: z.string().max(32).optional(),
  expiresAt: z.string().max(32).optional().describe('startedAt + lifecycle.maxLifetimeSeconds.'),
  idleTimeoutSeconds: z.int().min(1).optional(),
  startTimeoutSeconds: z.int().min(1).optional(),
  endedAt: z.string().max(32).optional(),
  endReason: z.enum(END_REASONS).optional(),
  endMessage: z.string().max(1024).optional().describe('What happened, and what to do.'),
  usage: usage.optional(),
  usageBefore: z
    .object({ incarnations: z.int().min(1), ...used })
    .optional()
    .describe('Sum over the incarnations before the one that usage names.'),
  lastLog: z.array(z.string().max(512)).max(20).optional().describe('The last lines that the agent wrote, when it failed.'),
  conditions: conditions.optional(),
})

export type AgentSessionSpec = z.output<typeof specSchema>
export type SessionUsage = z.output<typeof usage>
export type AgentSessionStatus = z.output<typeof statusSchema>

export interface AgentSession extends KubeObject {
  spec: AgentSessionSpec
  status?: AgentSessionStatus
}

/** Holds the object until its pod is gone. */
export const SESSION_FINALIZER = 'carrel.dev/session'

/** Write-once labels of a session's pod; with status.podUID they make the agreement of design rule 1. */
export const SESSION_UID_LABEL = 'carrel.dev/session-uid'
export const INCARNATION_LABEL = 'carrel.dev/incarnation'
/** On AgentSessions and pods, for `kubectl get -l`. */
export const RUNTIME_LABEL = 'carrel.dev/runtime'
/** On pods: the runtime's version that it runs. */
export const VERSION_LABEL = 'carrel.dev/version'
/** On pods of a code artifact: the directory, for the process kubelet. */
export const CODE_DIRECTORY_ANNOTATION = 'carrel.dev/code-directory'
/** The container that runs the agent; its status, not the pod's phase, decides. */
export const AGENT_CONTAINER = 'agent'
/** Beside it: `src/metering/sidecar`. */
export const METER_CONTAINER = 'meter'
/** Contract 1.1, protocol HTTP. */
export const AGENT_PORT = 8080

/** Parts of rules of `status`. */
const NEXT_INCARNATION = '(has(self.incarnation) && has(oldSelf.incarnation) && self.incarnation > oldSelf.incarnation)'
const ENDED = "(has(self.phase) && self.phase == 'Terminated')"

function isNextIncarnation(now: AgentSessionStatus, before: AgentSessionStatus): boolean {
  return now.incarnation !== undefined && before.incarnation !== undefined && now.incarnation > before.incarnation
}

const immutable = { cel: 'self == oldSelf', message: 'the identity of a session never changes' }

export const AGENT_SESSIONS = defineKind<AgentSession>({
  kind: 'AgentSession',
  plural: 'agentsessions',
  singular: 'agentsession',
  shortNames: ['ags'],
  description: 'One session id of one owner on one runtime. Written by gateway and operator; people read it.',
  spec: specSchema,
  status: statusSchema,
  rules: [
    { path: 'spec.runtimeRef', ...immutable, holdsOnUpdate: isDeepStrictEqual },
    { path: 'spec.endpoint', ...immutable, holdsOnUpdate: isDeepStrictEqual },
    { path: 'spec.sessionId', ...immutable, holdsOnUpdate: isDeepStrictEqual },
    { path: 'spec.owner', ...immutable, holdsOnUpdate: isDeepStrictEqual },
    {
      path: '',
      cel: [
        'self.spec.incarnation == oldSelf.spec.incarnation || (self.spec.incarnation == oldSelf.spec.incarnation + 1',
        "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase == 'Terminated'",
        'has(oldSelf.status.incarnation) && oldSelf.status.incarnation == oldSelf.spec.incarnation)',
      ].join(' && '),
      holdsOnUpdate: (now: AgentSession, before: AgentSession) =>
        now.spec.incarnation === before.spec.incarnation || (now.spec.incarnation === before.spec.incarnation + 1 && mayReopen(before)),
      message: 'incarnation is raised by one, and only while the status is Terminated at it',
      fieldPath: '.spec.incarnation',
    },
    {
      path: '',
      cel: '!has(oldSelf.status) || has(self.status)',
      holdsOnUpdate: (now: AgentSession, before: AgentSession) => before.status === undefined || now.status !== undefined,
      message: 'a status is never taken away: what it named once would be forgotten',
      fieldPath: '.status',
    },
    {
      path: 'spec.stopThrough',
      cel: 'self >= oldSelf',
      holdsOnUpdate: (now: number, before: number) => now >= before,
      message: 'stopThrough is never lowered',
    },
    {
      path: 'status',
      cel: '!has(oldSelf.incarnation) || (has(self.incarnation) && self.incarnation >= oldSelf.incarnation)',
      holdsOnUpdate: (now: AgentSessionStatus, before: AgentSessionStatus) =>
        before.incarnation === undefined || (now.incarnation !== undefined && now.incarnation >= before.incarnation),
      message: 'a status never speaks of an earlier incarnation again',
      fieldPath: '.incarnation',
    },
    {
      path: 'status',
      cel: `!has(oldSelf.podUID) || ${NEXT_INCARNATION} || (has(self.podUID) ? self.podUID == oldSelf.podUID : ${ENDED})`,
      holdsOnUpdate: (now: AgentSessionStatus, before: AgentSessionStatus) =>
        before.podUID === undefined ||
        isNextIncarnation(now, before) ||
        (now.podUID === undefined ? now.phase === 'Terminated' : now.podUID === before.podUID),
      message: 'podUID is set once per incarnation',
      fieldPath: '.podUID',
    },
    {
      path: 'status',
      cel: [
        "!has(oldSelf.phase) || !(oldSelf.phase in ['Terminating', 'Terminated'])",
        NEXT_INCARNATION,
        ENDED,
        "(oldSelf.phase == 'Terminating' && has(self.phase) && self.phase == 'Terminating')",
      ].join(' || '),
      holdsOnUpdate: (now: AgentSessionStatus, before: AgentSessionStatus) =>
        (before.phase !== 'Terminating' && before.phase !== 'Terminated') ||
        isNextIncarnation(now, before) ||
        now.phase === 'Terminated' ||
        (before.phase === 'Terminating' && now.phase === 'Terminating'),
      message: 'an incarnation that ends never comes back; the next one may be opened',
      fieldPath: '.phase',
    },
  ],
  columns: [
    { name: 'Runtime', type: 'string', jsonPath: '.spec.runtimeRef.name' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'Incarnation', type: 'integer', jsonPath: '.spec.incarnation' },
    { name: 'CPU-seconds', type: 'string', jsonPath: '.status.usage.cpuSeconds' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Expires', type: 'string', jsonPath: '.status.expiresAt' },
    { name: 'Reason', type: 'string', jsonPath: '.status.endReason' },
    { name: 'Pod', type: 'string', jsonPath: '.status.podName', priority: 1 },
    { name: 'Session', type: 'string', jsonPath: '.spec.sessionId', priority: 1 },
    { name: 'Owner', type: 'string', jsonPath: '.spec.owner.subject', priority: 1 },
  ],
})
