/** Carrel's own kinds, as traces use them. */
import type { TraceKind } from './kinds.ts'

const own = { root: '/apis/carrel.dev/v1alpha1', apiVersion: 'carrel.dev/v1alpha1', hasStatus: true }
const now = '2030-01-02T03:04:05Z'
const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: now }

export const agentRuntimes: TraceKind = {
  ...own,
  kind: 'AgentRuntime',
  plural: 'agentruntimes',
  objects: [
    { spec: { artifact: { container: { image: 'one' } } } },
    {
      spec: { artifact: { code: { directory: 'd', command: ['node', 'a.ts'] } }, environment: [{ name: 'A', value: '1' }] },
      status: { latestVersion: 3 },
    },
    { spec: { artifact: { container: { image: 'one' } }, lifecycle: { idleTimeoutSeconds: 60 } } },
    { spec: {} },
    {},
  ],
  changes: [
    { spec: { artifact: { container: { image: 'two' } } } },
    { spec: { lifecycle: { idleTimeoutSeconds: 30 } } },
    { spec: { lifecycle: null } },
    { spec: { lifecycle: { idleTimeoutSeconds: null } } },
    {
      spec: {
        environment: [
          { name: 'A', value: '2' },
          { name: 'B', value: '' },
        ],
      },
    },
    { spec: { startTimeoutSeconds: 10, unknown: 1 } },
    { status: { latestVersion: 7 } },
    { spec: { lifecycle: { idleTimeoutSeconds: 100, maxLifetimeSeconds: 50 } } },
    { spec: { lifecycle: { idleTimeoutSeconds: 0 } } },
    { spec: { artifact: { container: null, code: null } } },
    { spec: { artifact: { container: { image: '' } } } },
    { spec: { protocol: 'MCP' } },
    {
      spec: {
        environment: [
          { name: 'A', value: '1' },
          { name: 'A', value: '2' },
        ],
      },
    },
    { spec: { environment: [{ name: '1bad', value: 7 }] } },
    { spec: null },
    { spec: 'garbage' },
  ],
  statusChanges: [
    { status: { latestVersion: 1 } },
    { status: { latestVersion: 2, observedGeneration: 1 } },
    { status: { conditions: [condition] } },
    { status: { conditions: [{ ...condition, status: 'False' }] }, spec: { startTimeoutSeconds: 11 } },
    { status: null },
    { status: { latestVersion: 0 } },
    { status: { conditions: [{ ...condition, status: 'Maybe' }] } },
    { status: { conditions: [condition, condition] } },
    { status: { unknown: 1 } },
    { status: 'garbage' },
  ],
  jsonPatches: [
    [{ op: 'add', path: '/spec/environment', value: [{ name: 'C', value: '3' }] }],
    [{ op: 'replace', path: '/spec/startTimeoutSeconds', value: 12 }],
    [{ op: 'remove', path: '/spec/artifact' }],
    [{ op: 'remove', path: '/spec/lifecycle' }],
    [{ op: 'add', path: '/spec/environment/0', value: { name: 'D', value: '4' } }],
  ],
  strategicPatches: [],
}

export const agentSessions: TraceKind = {
  ...own,
  kind: 'AgentSession',
  plural: 'agentsessions',
  objects: [
    {
      spec: {
        runtimeRef: { name: 'r', uid: 'u' },
        endpoint: 'DEFAULT',
        sessionId: 's'.repeat(33),
        owner: { kind: 'k', issuer: 'i', subject: 's' },
        incarnation: 1,
      },
    },
    { spec: { runtimeRef: { name: 'r', uid: 'u' }, endpoint: 'DEFAULT', sessionId: 'short', incarnation: 1 } },
  ],
  changes: [
    { spec: { stopThrough: 1 } },
    { spec: { stopThrough: 2, stopTokens: ['t'] } },
    { spec: { stopThrough: 0 } },
    { spec: { stopThrough: null } },
    { spec: { incarnation: 2 } },
    { spec: { incarnation: 3 } },
    { spec: { endpoint: 'other' } },
    { spec: { owner: { subject: 'thief' } } },
    { spec: { stopTokens: ['1', '2', '3', '4', '5'] } },
    { spec: { stopThrough: -1 } },
    { spec: { incarnation: 'one' } },
  ],
  statusChanges: [
    { status: { incarnation: 1, phase: 'Terminated' } },
    { status: { incarnation: 1, phase: 'Running', podUID: 'p', podName: 'n' } },
    { status: { incarnation: 1, phase: 'Pending', version: 1 } },
    { status: { incarnation: 2, phase: 'Running', podUID: 'q' } },
    { status: { podUID: null } },
    { status: { phase: 'Terminating' } },
    { status: { phase: 'Nonsense' } },
    { status: null },
    { status: { incarnation: 0 } },
  ],
  jsonPatches: [[{ op: 'replace', path: '/spec/stopThrough', value: 1 }], [{ op: 'remove', path: '/spec/stopThrough' }]],
  strategicPatches: [],
}
