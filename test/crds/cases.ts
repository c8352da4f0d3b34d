/** Objects, good and bad, that the real API server's own code has judged; its verdicts are in verdicts.json. */
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import type { Kind } from '../../src/crds/define-kind.ts'
import type { KubeObject } from '../../src/kube/objects.ts'

export interface Case {
  title: string
  kind: Kind
  object: KubeObject
  old?: KubeObject
  subresource?: 'status'
}

/** A manifest that anyone may have written: any shape. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Loose = any
type Change = (object: Loose) => void

const CONDITION = { type: 'Ready', status: 'True', reason: 'Ready', message: 'ok', lastTransitionTime: '2026-11-24T10:00:00Z' }

export function runtime(change: Change = () => {}): KubeObject {
  const object = {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name: 'probe', namespace: 'default', uid: 'uid-1', resourceVersion: '1' },
    spec: { artifact: { container: { image: 'probe:1' }, code: { directory: 'agents/probe', command: ['node', 'agent.ts'] } } },
  }
  change(object)
  return object
}

/** Running, with a pod. */
export function session(change: Change = () => {}): KubeObject {
  const object = {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name: 'probe-abc', namespace: 'default', uid: 'uid-2', resourceVersion: '1' },
    spec: {
      runtimeRef: { name: 'probe', uid: 'uid-1' },
      endpoint: 'DEFAULT',
      sessionId: 'session-0123456789-0123456789-0123',
      owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'someone' },
      incarnation: 1,
      stopThrough: 0,
    },
    status: { incarnation: 1, phase: 'Running', podName: 'probe-abc-1', podUID: 'pod-1', conditions: [{ ...CONDITION }] },
  }
  change(object)
  return object
}

const DISCOVERY_URL = 'https://idp.example.com/tenant/.well-known/openid-configuration'

/** A runtime whose callers bring tokens of a provider; the conditions replace the one on the audience. */
function authorizer(conditions: object): Change {
  return (r) => (r.spec.authorizer = { customJWT: { discoveryUrl: DISCOVERY_URL, ...conditions } })
}

/** One custom claim, of this type, operator and value. */
function claim(inboundTokenClaimValueType: string, claimMatchOperator: string, claimMatchValue: object): object {
  return { inboundTokenClaimName: 'role', inboundTokenClaimValueType, authorizingClaimMatchValue: { claimMatchOperator, claimMatchValue } }
}

const ended: Change = (s) => Object.assign(s.status, { phase: 'Terminated', endReason: 'Stopped' })

const madeRuntimes: [string, Change][] = [
  ['a runtime of few words', () => {}],
  ['idle above max', (r) => (r.spec.lifecycle = { idleTimeoutSeconds: 20, maxLifetimeSeconds: 10 })],
  ['the default idle above max', (r) => (r.spec.lifecycle = { maxLifetimeSeconds: 10 })],
  ['a name of 35 characters', (r) => (r.metadata.name = 'a'.repeat(35))],
  ['a name of 36 characters', (r) => (r.metadata.name = 'a'.repeat(36))],
  ['a dot in the name', (r) => (r.metadata.name = 'a.b')],
  ['a digit first in the name', (r) => (r.metadata.name = '9a')],
  ['an empty artifact', (r) => (r.spec.artifact = {})],
  ['no artifact', (r) => delete r.spec.artifact],
  ['no spec', (r) => delete r.spec],
  ['an unknown protocol', (r) => (r.spec.protocol = 'GOPHER')],
  ['a string for an integer', (r) => (r.spec.startTimeoutSeconds = 'soon')],
  ['a fraction for an integer', (r) => (r.spec.startTimeoutSeconds = 1.5)],
  ['a boolean for an integer', (r) => (r.spec.startTimeoutSeconds = true)],
  ['a boolean for an enum', (r) => (r.spec.protocol = true)],
  ['an object for an enum', (r) => (r.spec.protocol = { a: 1 })],
  ['a list for an object', (r) => (r.spec.artifact = [])],
  ['a string for a list', (r) => (r.spec.environment = 'A=b')],
  ['all sorts in a list of strings', (r) => (r.spec.artifact.code.command = ['a', 3, {}, [], true, null])],
  ['nulls where defaults are', (r) => Object.assign(r.spec, { protocol: null, lifecycle: null })],
  ['a null for a required field', (r) => (r.spec.artifact.container.image = null)],
  ['an empty command', (r) => (r.spec.artifact.code.command = [])],
  ['an empty word in a command', (r) => (r.spec.artifact.code.command = [''])],
  ['a start timeout of 0', (r) => (r.spec.startTimeoutSeconds = 0)],
  ['a start timeout of 601', (r) => (r.spec.startTimeoutSeconds = 601)],
  ['too many variables', (r) => (r.spec.environment = Array.from({ length: 51 }, (_, at) => ({ name: `A${at}`, value: '' })))],
  ['a variable twice', (r) => (r.spec.environment = ['A', 'B', 'A', 'A'].map((name) => ({ name, value: 'x' })))],
  [
    'a variable twice, and idle above max',
    (r) => {
      r.spec.environment = ['A', 'A'].map((name) => ({ name, value: 'x' }))
      r.spec.lifecycle = { idleTimeoutSeconds: 20, maxLifetimeSeconds: 10 }
    },
  ],
  ['a word among variables', (r) => (r.spec.environment = [{ name: 'A', value: '' }, 'B=c'])],
  ['a space in a variable', (r) => (r.spec.environment = [{ name: 'A B', value: '' }])],
  ['a line end in a variable', (r) => (r.spec.environment = [{ name: 'A\n', value: '' }])],
  ['a variable without a value', (r) => (r.spec.environment = [{ name: 'A' }])],
  ['as many emoji as characters may be', (r) => (r.spec.artifact.container.image = '🙂'.repeat(1024))],
  ['a value of 5001 characters', (r) => (r.spec.environment = [{ name: 'A', value: 'x'.repeat(5001) }])],
  ['a session ownership by nobody', (r) => (r.spec.sessionOwnership = 'Nobody')],
  ['a limit of 0 sessions', (r) => (r.spec.limits = { sessions: 0 })],
  ['one limit of its own', (r) => (r.spec.limits = { callsPerSecondPerOwner: 5 })],
  ['a named endpoint', (r) => (r.spec.endpoints = [{ name: 'canary', version: 1 }])],
  ['an endpoint named DEFAULT', (r) => (r.spec.endpoints = [{ name: 'DEFAULT', version: 1 }])],
  ['an endpoint twice', (r) => (r.spec.endpoints = [1, 2].map((version) => ({ name: 'canary', version })))],
  ['an endpoint without a version', (r) => (r.spec.endpoints = [{ name: 'canary' }])],
  ['an endpoint with a dash', (r) => (r.spec.endpoints = [{ name: 'a-b', version: 1 }])],
  ['an authorizer of no kind', (r) => (r.spec.authorizer = {})],
  ['an authorizer without a condition', authorizer({})],
  ['an authorizer with an empty condition', authorizer({ allowedAudience: [] })],
  ['an authorizer by audience', authorizer({ allowedAudience: ['agents'] })],
  [
    'an authorizer by everything',
    authorizer({
      allowedAudience: ['agents'],
      allowedClients: ['app'],
      allowedScopes: ['agents/invoke'],
      customClaims: [
        claim('STRING', 'EQUALS', { matchValueString: 'a' }),
        claim('STRING_ARRAY', 'CONTAINS', { matchValueString: 'a' }),
        claim('STRING_ARRAY', 'CONTAINS_ANY', { matchValueStringList: ['a', 'b'] }),
      ],
    }),
  ],
  ['a discovery URL by http', authorizer({ discoveryUrl: DISCOVERY_URL.replace('https', 'http'), allowedAudience: ['agents'] })],
  ['a discovery URL without the well-known path', authorizer({ discoveryUrl: 'https://idp.example.com/', allowedAudience: ['agents'] })],
  [
    'a discovery URL with a password',
    authorizer({ discoveryUrl: DISCOVERY_URL.replace('//', '//me:secret@'), allowedAudience: ['agents'] }),
  ],
  ['a discovery URL with a query', authorizer({ discoveryUrl: DISCOVERY_URL.replace('/.w', '?a=/.w'), allowedAudience: ['agents'] })],
  ['CONTAINS on a string', authorizer({ customClaims: [claim('STRING', 'CONTAINS', { matchValueString: 'a' })] })],
  ['EQUALS on a list', authorizer({ customClaims: [claim('STRING_ARRAY', 'EQUALS', { matchValueString: 'a' })] })],
  ['an operator that there is not', authorizer({ customClaims: [claim('STRING', 'MATCHES', { matchValueString: 'a' })] })],
  ['CONTAINS_ANY of one value', authorizer({ customClaims: [claim('STRING_ARRAY', 'CONTAINS_ANY', { matchValueString: 'a' })] })],
  ['EQUALS a list', authorizer({ customClaims: [claim('STRING', 'EQUALS', { matchValueStringList: ['a'] })] })],
  [
    'both values of a claim',
    authorizer({ customClaims: [claim('STRING', 'EQUALS', { matchValueString: 'a', matchValueStringList: ['a'] })] }),
  ],
  ['no value of a claim', authorizer({ customClaims: [claim('STRING', 'EQUALS', {})] })],
  ['a claim of no words', authorizer({ customClaims: [{}] })],
  [
    'unknown fields everywhere',
    (r) => {
      r.foo = 1
      Object.assign(r.spec, { z: 1, constructor: 1, warmPool: { a: [] } })
      r.spec.artifact.container.toString = {}
      r.spec.environment = [{ name: 'A', value: '', x: 1 }]
    },
  ],
  [
    'several things at once',
    (r) => {
      r.metadata.name = 'a.b'
      Object.assign(r.spec, { protocol: 'X', startTimeoutSeconds: 601, lifecycle: { idleTimeoutSeconds: 20, maxLifetimeSeconds: 10 } })
    },
  ],
]

const updatedSessions: [string, Change, Change, 'status'?][] = [
  ['a stop', () => {}, (s) => Object.assign(s.spec, { stopThrough: 1, stopTokens: ['t'] })],
  ['stopThrough lowered', (s) => (s.spec.stopThrough = 1), (s) => (s.spec.stopThrough = 0)],
  ['stopThrough left out', (s) => (s.spec.stopThrough = 1), (s) => delete s.spec.stopThrough],
  ['another owner', () => {}, (s) => (s.spec.owner.subject = 'else')],
  ['another runtime', () => {}, (s) => (s.spec.runtimeRef.uid = 'uid-2')],
  ['another endpoint', () => {}, (s) => (s.spec.endpoint = 'canary')],
  ['another session id', () => {}, (s) => (s.spec.sessionId = 'y'.repeat(40))],
  ['a reopen while it runs', () => {}, (s) => (s.spec.incarnation = 2)],
  ['a reopen while it ends', (s) => (s.status.phase = 'Terminating'), (s) => (s.spec.incarnation = 2)],
  ['a reopen before there is a status', (s) => delete s.status, (s) => (s.spec.incarnation = 2)],
  ['a reopen when it is over', ended, (s) => (s.spec.incarnation = 2)],
  ['a reopen by two', ended, (s) => (s.spec.incarnation = 3)],
  [
    'a second reopen before the first is open',
    (s) => {
      ended(s)
      s.spec.incarnation = 2
    },
    (s) => (s.spec.incarnation = 3),
  ],
  [
    'an incarnation lowered',
    (s) => {
      ended(s)
      s.spec.incarnation = 2
    },
    (s) => (s.spec.incarnation = 1),
  ],
  ['a first status', (s) => delete s.status, (s) => (s.status = { incarnation: 1, phase: 'Pending', podUID: 'pod-1' }), 'status'],
  ['another pod', () => {}, (s) => (s.status.podUID = 'pod-2'), 'status'],
  ['no pod any more', () => {}, (s) => delete s.status.podUID, 'status'],
  [
    'no pod any more, as it is over',
    () => {},
    (s) => {
      ended(s)
      delete s.status.podUID
    },
    'status',
  ],
  ['no status any more', () => {}, (s) => delete s.status, 'status'],
  ['the pod of the next incarnation', ended, (s) => (s.status = { incarnation: 2, phase: 'Pending', podUID: 'pod-2' }), 'status'],
  ['a status of an earlier incarnation', (s) => (s.status.incarnation = 2), (s) => (s.status.incarnation = 1), 'status'],
  ['a status that names no incarnation', () => {}, (s) => delete s.status.incarnation, 'status'],
  ['it ends', () => {}, (s) => (s.status.phase = 'Terminating'), 'status'],
  ['it is over', (s) => (s.status.phase = 'Terminating'), ended, 'status'],
  ['back from its end', (s) => (s.status.phase = 'Terminating'), (s) => (s.status.phase = 'Running'), 'status'],
  ['back from the dead', ended, (s) => (s.status.phase = 'Running'), 'status'],
  ['back from the dead without a phase', ended, (s) => delete s.status.phase, 'status'],
  ['an unknown end reason', () => {}, (s) => (s.status.endReason = 'Bored'), 'status'],
  ['a condition twice', () => {}, (s) => s.status.conditions.push({ ...CONDITION }), 'status'],
  ['a condition without a time', () => {}, (s) => delete s.status.conditions[0].lastTransitionTime, 'status'],
  ['a condition of no time', () => {}, (s) => (s.status.conditions[0].lastTransitionTime = 'yesterday'), 'status'],
  ['a version beyond 64 bits', () => {}, (s) => (s.status.version = 1e300), 'status'],
]

/** What an older schema let in stays changeable: only what changed is judged. */
const updatedRuntimes: [string, Change, Change][] = [
  ['another session ownership', () => {}, (r) => (r.spec.sessionOwnership = 'Runtime')],
  ['the session ownership left out', (r) => (r.spec.sessionOwnership = 'Runtime'), (r) => delete r.spec.sessionOwnership],
  ['the session ownership that it had by default', () => {}, (r) => (r.spec.sessionOwnership = 'Caller')],
  ['an authorizer comes', () => {}, authorizer({ allowedAudience: ['agents'] })],
  ['an authorizer goes', authorizer({ allowedAudience: ['agents'] }), (r) => delete r.spec.authorizer],
  ['an old flaw, something else changed', (r) => (r.spec.startTimeoutSeconds = 700), (r) => (r.spec.protocol = 'HTTP')],
  [
    'an old flaw, something beside it changed',
    (r) => Object.assign(r.spec, { startTimeoutSeconds: 700, protocol: 'HTTP' }),
    (r) => (r.spec.startTimeoutSeconds = 701),
  ],
  [
    'an old variable of a bad name, another one added',
    (r) => (r.spec.environment = [{ name: 'A B', value: '' }]),
    (r) => r.spec.environment.unshift({ name: 'A', value: '' }),
  ],
  [
    'an old variable of a bad name changed',
    (r) => (r.spec.environment = [{ name: 'A B', value: '' }]),
    (r) => (r.spec.environment[0].value = 'x'),
  ],
  [
    'an old lifecycle that breaks the rule, label added',
    (r) => (r.spec.lifecycle = { idleTimeoutSeconds: 9, maxLifetimeSeconds: 3 }),
    (r) => (r.metadata.labels = { a: 'b' }),
  ],
  [
    'an old lifecycle that breaks the rule, and still does',
    (r) => (r.spec.lifecycle = { idleTimeoutSeconds: 9, maxLifetimeSeconds: 3 }),
    (r) => (r.spec.lifecycle.idleTimeoutSeconds = 8),
  ],
]

/** An update's new object is the old one with the change. */
function updated(make: (change: Change) => KubeObject, before: Change, change: Change): { old: KubeObject; object: KubeObject } {
  const both: Change = (object) => {
    before(object)
    change(object)
  }
  return { old: make(before), object: make(both) }
}

export const CASES: Case[] = [
  ...madeRuntimes.map(([title, change]) => ({ title, kind: AGENT_RUNTIMES as Kind, object: runtime(change) })),
  ...updatedRuntimes.map(([title, before, change]) => ({ title, kind: AGENT_RUNTIMES as Kind, ...updated(runtime, before, change) })),
  ...updatedSessions.map(([title, before, change, subresource]) => ({
    title,
    kind: AGENT_SESSIONS as Kind,
    ...updated(session, before, change),
    ...(subresource ? { subresource } : {}),
  })),
]
