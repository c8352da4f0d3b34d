/**
 * The kinds that traces play with: objects to create, and changes to make. A change is a JSON merge patch: it is sent as a
 * PATCH, or merged into the object of a PUT or POST. The first ones are the plainest, for shrinking goes towards them.
 */
import { agentRuntimes, agentSessions } from './own-kinds.ts'
import { configMaps, controllerRevisions, coreEvents, events, leases, secrets } from './built-in-kinds.ts'
import { pods } from './pods.ts'

export interface TraceKind {
  /** `/api/v1` or `/apis/<group>/<version>`. */
  root: string
  plural: string
  apiVersion: string
  kind: string
  hasStatus: boolean
  /** Without metadata. */
  objects: readonly object[]
  changes: readonly object[]
  statusChanges: readonly object[]
  jsonPatches: readonly object[][]
  strategicPatches: readonly object[]
}

export const KINDS = {
  configmaps: configMaps,
  agentruntimes: agentRuntimes,
  agentsessions: agentSessions,
  pods,
  secrets,
  leases,
  controllerrevisions: controllerRevisions,
  'events.events.k8s.io': events,
  events: coreEvents,
} satisfies Record<string, TraceKind>

export type KindName = keyof typeof KINDS

export const HOLD = 'differential.carrel.dev/hold'
const OTHER_HOLD = 'differential.carrel.dev/other'

/** Changes that every kind knows. */
export const COMMON_CHANGES: readonly object[] = [
  { metadata: { labels: { app: 'x' } } },
  { metadata: { labels: { app: 'y', tier: '1' } } },
  { metadata: { labels: { app: null } } },
  { metadata: { labels: null } },
  { metadata: { annotations: { note: 'one' } } },
  { metadata: { annotations: { note: null, other: 'two' } } },
  { metadata: { finalizers: [HOLD] } },
  { metadata: { finalizers: null } },
  { metadata: { finalizers: [HOLD, OTHER_HOLD] } },
  { metadata: { finalizers: [OTHER_HOLD] } },
  { metadata: { finalizers: [] } },
  {},
  { metadata: { labels: { app: 'not valid!' } } },
  { metadata: { labels: { 'not valid!': 'x' } } },
  { metadata: { name: 'other' } },
  { metadata: { namespace: 'elsewhere' } },
  { metadata: { generation: 99 } },
  { metadata: { deletionTimestamp: '2031-01-01T00:00:00Z', deletionGracePeriodSeconds: 7 } },
  { metadata: { creationTimestamp: null } },
  { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x' }] } },
  { metadata: { finalizers: ['not valid!'] } },
  { apiVersion: 'v9' },
  { metadata: { labels: { app: 7 } } },
  { metadata: 'garbage' },
  { bogus: { deep: [1, 2] } },
]

export const COMMON_JSON_PATCHES: readonly object[][] = [
  [{ op: 'add', path: '/metadata/labels', value: { app: 'x' } }],
  [{ op: 'replace', path: '/metadata/labels/app', value: 'y' }],
  [{ op: 'remove', path: '/metadata/labels/app' }],
  [
    { op: 'test', path: '/metadata/labels/app', value: 'x' },
    { op: 'replace', path: '/metadata/labels/app', value: 'y' },
  ],
  [{ op: 'add', path: '/metadata/finalizers', value: [HOLD] }],
  [{ op: 'add', path: '/metadata/finalizers/-', value: OTHER_HOLD }],
  [{ op: 'remove', path: '/metadata/finalizers/0' }],
  [{ op: 'remove', path: '/metadata/finalizers' }],
  [
    { op: 'add', path: '/metadata/annotations', value: {} },
    { op: 'add', path: '/metadata/annotations/a~1b', value: 'c' },
  ],
  [{ op: 'copy', from: '/metadata/labels', path: '/metadata/annotations' }],
  [{ op: 'move', from: '/metadata/labels', path: '/metadata/annotations' }],
  [{ op: 'add', path: 'no-slash', value: 1 }],
  [{ op: 'nonsense', path: '/metadata/labels' }],
  [],
]

export const COMMON_STRATEGIC_PATCHES: readonly object[] = [
  { metadata: { labels: { app: 'x' } } },
  { metadata: { labels: { app: null, tier: '1' } } },
  { metadata: { finalizers: [HOLD] } },
  { metadata: { '$deleteFromPrimitiveList/finalizers': [HOLD] } },
  { metadata: { finalizers: [OTHER_HOLD] } },
  { metadata: { labels: { $patch: 'replace', app: 'y' } } },
  { metadata: { finalizers: null } },
]

/** The path of the kind's collection in a namespace. */
export function collectionPath({ root, plural }: TraceKind, namespace: string): string {
  return `${root}/namespaces/${namespace}/${plural}`
}
