/** ConfigMaps, Secrets, Leases, ControllerRevisions and both faces of Events, as traces use them. */
import type { TraceKind } from './kinds.ts'

type Plain = Pick<TraceKind, 'objects' | 'changes'> & Partial<TraceKind>

/** Of Carrel's kinds it is one of many faults; here the object cannot be read at all. */
const NONSENSE = { kind: 'Nonsense' }

/** The data of revisions have their fields in order: the real server compares bytes, and a patch sorts them. */
function builtIn(root: string, apiVersion: string, kind: string, plural: string, given: Plain): TraceKind {
  const none = { hasStatus: false, statusChanges: [], jsonPatches: [], strategicPatches: [] }
  return { root, apiVersion, kind, plural, ...none, ...given, changes: [...given.changes, NONSENSE] }
}

export const configMaps = builtIn('/api/v1', 'v1', 'ConfigMap', 'configmaps', {
  objects: [{}, { data: { k: '1' } }, { data: { k: '1' }, binaryData: { b: 'AAEC' } }],
  changes: [
    { data: { k: '1' } },
    { data: { k: '2' } },
    { data: { k: null, kept: '1' } },
    { data: null },
    { immutable: true },
    { immutable: null },
    { data: { 'bad key!': 'x' } },
    { data: { k: 7 } },
    { data: 'garbage' },
    { binaryData: { b: 'not base64!' } },
    { binaryData: { k: 'AAEC' }, data: { k: 'twice' } },
  ],
  jsonPatches: [
    [{ op: 'add', path: '/data', value: { k: '3' } }],
    [{ op: 'replace', path: '/data/k', value: '4' }],
    [{ op: 'remove', path: '/data' }],
  ],
  strategicPatches: [{ data: { k: '5' } }, { data: { $patch: 'replace', j: '6' } }],
})

export const secrets = builtIn('/api/v1', 'v1', 'Secret', 'secrets', {
  objects: [{}, { data: { k: 'MQ==' } }, { stringData: { k: 'plain' }, type: 'carrel.dev/test' }],
  changes: [
    { data: { k: 'Mg==' } },
    { stringData: { k: 'three' } },
    { data: { k: null, kept: 'MQ==' } },
    { immutable: true },
    { type: 'carrel.dev/other' },
    { data: { k: 'not base64!' } },
    { data: { 'bad key!': 'MQ==' } },
    { data: { k: 7 } },
  ],
  jsonPatches: [[{ op: 'add', path: '/data', value: { k: 'NA==' } }], [{ op: 'replace', path: '/data/k', value: 'NQ==' }]],
  strategicPatches: [{ stringData: { k: 'six' } }, { data: { k: 'Nw==' } }],
})

export const leases = builtIn('/apis/coordination.k8s.io/v1', 'coordination.k8s.io/v1', 'Lease', 'leases', {
  objects: [
    {},
    { spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } },
    { spec: { holderIdentity: 'b', renewTime: '2030-01-02T03:04:05.000006Z' } },
  ],
  changes: [
    { spec: { holderIdentity: 'b' } },
    { spec: { holderIdentity: 'c', leaseTransitions: 1 } },
    { spec: { renewTime: '2030-01-02T03:04:05.000007Z', acquireTime: '2030-01-02T03:04:05.000007Z' } },
    { spec: { leaseDurationSeconds: 20 } },
    { spec: { holderIdentity: null } },
    { spec: null },
    { spec: { leaseDurationSeconds: 0 } },
    { spec: { leaseTransitions: -1 } },
    { spec: { renewTime: 'yesterday' } },
    { spec: { leaseDurationSeconds: 'long' } },
  ],
  jsonPatches: [[{ op: 'add', path: '/spec/holderIdentity', value: 'd' }], [{ op: 'remove', path: '/spec/holderIdentity' }]],
  strategicPatches: [{ spec: { holderIdentity: 'e' } }],
})

export const controllerRevisions = builtIn('/apis/apps/v1', 'apps/v1', 'ControllerRevision', 'controllerrevisions', {
  objects: [{ revision: 1, data: { a: 1 } }, { revision: 2, data: { spec: { b: [null, 'x'] } } }, { revision: 1 }],
  changes: [{ revision: 2 }, { revision: 3 }, { data: { z: 2 } }, { revision: -1 }, { revision: 'one' }, { data: null }],
  jsonPatches: [[{ op: 'replace', path: '/revision', value: 5 }], [{ op: 'add', path: '/data/z', value: 9 }]],
  strategicPatches: [{ revision: 6 }],
})

const about = { apiVersion: 'v1', kind: 'Pod', name: 'a' }
const reported = { reportingController: 'carrel.dev/test', reportingInstance: 'one', action: 'Opened', reason: 'Ready', type: 'Normal' }
const eventTime = '2030-01-02T03:04:05.000006Z'

/** `namespace: '$namespace'` stands for the trace's. */
const here = { namespace: '$namespace' }

export const events = builtIn('/apis/events.k8s.io/v1', 'events.k8s.io/v1', 'Event', 'events', {
  objects: [
    { regarding: { ...about, ...here }, ...reported, eventTime, note: 'it is' },
    { regarding: { ...about, ...here }, note: 'an old one' },
  ],
  changes: [
    { series: { count: 2, lastObservedTime: eventTime } },
    { series: { count: 3, lastObservedTime: '2030-01-02T03:05:05.000006Z' } },
    { note: 'it is not' },
    { type: 'Nonsense' },
    { reason: null },
    { regarding: { namespace: 'elsewhere' } },
    { eventTime: null },
    { note: 'x'.repeat(1025) },
    { note: 7 },
  ],
  strategicPatches: [{ series: { count: 4, lastObservedTime: eventTime } }],
})

export const coreEvents = builtIn('/api/v1', 'v1', 'Event', 'events', {
  objects: [
    { involvedObject: { ...about, ...here }, reason: 'Ready', message: 'it is', type: 'Normal' },
    {
      involvedObject: { ...about, ...here },
      reason: 'Ready',
      message: 'it is',
      type: 'Normal',
      eventTime,
      reportingComponent: 'c',
      reportingInstance: 'i',
      action: 'a',
    },
  ],
  changes: [
    { message: 'more' },
    { count: 2 },
    { type: 'Warning' },
    { involvedObject: { namespace: 'elsewhere' } },
    { reason: null },
    { message: 7 },
  ],
  strategicPatches: [{ message: 'again' }],
})
