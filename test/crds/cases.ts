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

const resources =
  (given: object): Change =>
  (r) =>
    (r.spec.resources = given)

const placement =
  (given: object): Change =>
  (r) =>
    (r.spec.placement = given)

const secretVariable =
  (secretKeyRef: object): Change =>
  (r) =>
    (r.spec.environment = [{ name: 'API_KEY', valueFrom: { secretKeyRef } }])

/** Named and placed apart, unless they say so themselves. */
const volumes =
  (...given: object[]): Change =>
  (r) =>
    (r.spec.volumes = given.map((each, at) => ({ name: `v${at}`, mountPath: `/mnt/${at}`, ...each })))

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
    'resources in every spelling',
    resources({ limits: { cpu: 2, memory: 1_073_741_824, 'ephemeral-storage': '1.5Gi' }, requests: { cpu: '500m' } }),
  ],
  ['one limit of resources', resources({ limits: { memory: '2Gi' } })],
  ['requests as high as the default limits', resources({ requests: { cpu: 1, memory: '1024Mi', 'ephemeral-storage': '2Gi' } })],
  ['a request of cpu above its limit', resources({ limits: { cpu: '500m' }, requests: { cpu: 1 } })],
  ['a request of memory above the default limit', resources({ requests: { memory: '1025Mi' } })],
  ['a request of storage above its limit', resources({ limits: { 'ephemeral-storage': '1G' }, requests: { 'ephemeral-storage': '1Gi' } })],
  ['no limit of cpu', resources({ limits: { cpu: '0' } })],
  ['no limit of memory', resources({ limits: { memory: 0 } })],
  ['thousandths of a byte', resources({ limits: { memory: '512m' } })],
  ['a fraction of a number for a quantity', resources({ limits: { cpu: 0.5 } })],
  ['a boolean for a quantity', resources({ limits: { cpu: true } })],
  ['an object for a quantity', resources({ limits: { memory: {} } })],
  ['a null for a quantity', resources({ limits: { memory: null } })],
  ['a resource that there is not', resources({ limits: { 'nvidia.com/gpu': 1 } })],
  ['root', (r) => (r.spec.securityContext = { runAsUser: 0 })],
  ['a user below root', (r) => (r.spec.securityContext = { runAsUser: -1 })],
  ['a user by name', (r) => (r.spec.securityContext = { runAsUser: 'bedrock_agentcore' })],
  ['a user beyond 31 bits', (r) => (r.spec.securityContext = { runAsUser: 2_147_483_648 })],
  ['a privileged agent', (r) => (r.spec.securityContext = { privileged: true, capabilities: { add: ['SYS_ADMIN'] } })],
  ['a word for a boolean', (r) => (r.spec.securityContext = { readOnlyRootFilesystem: 'yes' })],
  ['a class and an account', (r) => Object.assign(r.spec, { runtimeClassName: 'kata-clh', serviceAccountName: 'agents' })],
  ['a class of capitals', (r) => (r.spec.runtimeClassName = 'Kata')],
  ['an empty account', (r) => (r.spec.serviceAccountName = '')],
  [
    'pull secrets and a policy',
    (r) => Object.assign(r.spec.artifact.container, { imagePullPolicy: 'Always', imagePullSecrets: [{ name: 'mine' }] }),
  ],
  ['a pull policy that there is not', (r) => (r.spec.artifact.container.imagePullPolicy = 'Sometimes')],
  ['a pull secret without a name', (r) => (r.spec.artifact.container.imagePullSecrets = [{}])],
  ['a grace of 0', (r) => (r.spec.lifecycle = { stopGraceSeconds: 0 })],
  ['a grace of 601', (r) => (r.spec.lifecycle = { stopGraceSeconds: 601 })],
  ['a variable of a Secret', secretVariable({ name: 'keys', key: 'api-key' })],
  ['a variable of a Secret that may be missing', secretVariable({ name: 'keys', key: 'api-key', optional: true })],
  ['a variable of a Secret without a key', secretVariable({ name: 'keys' })],
  ["a variable of a meter's Secret", secretVariable({ name: 'meter-0b9f', key: 'key' })],
  [
    'a variable of a field of the pod',
    (r) => (r.spec.environment = [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }]),
  ],
  ['a variable of both', (r) => (r.spec.environment = [{ name: 'A', value: '', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } }])],
  [
    'every kind of volume',
    volumes({ emptyDir: {} }, { persistentVolumeClaim: { claimName: 'c' } }, { secret: { secretName: 's' } }, { configMap: { name: 'm' } }),
  ],
  [
    'volumes in detail',
    volumes(
      { emptyDir: { sizeLimit: '64Mi', medium: 'Memory' } },
      { readOnly: true, configMap: { name: 'm', items: [{ key: 'a', path: 'b' }] } },
    ),
  ],
  ['a volume of the node', volumes({ hostPath: { path: '/' } })],
  ['a volume of nothing', volumes({})],
  ['a volume of two kinds', volumes({ emptyDir: {}, configMap: { name: 'm' } })],
  ["a volume of a meter's Secret", volumes({ secret: { secretName: 'meter-0b9f' } })],
  ['two volumes at one place', volumes({ emptyDir: {}, mountPath: '/a' }, { emptyDir: {}, mountPath: '/a' })],
  ['two volumes of one name', volumes({ emptyDir: {}, name: 'a' }, { emptyDir: {}, name: 'a' })],
  ['a volume over everything', volumes({ emptyDir: {}, mountPath: '/' })],
  ['a volume at no absolute path', volumes({ emptyDir: {}, mountPath: 'data' })],
  ['an emptyDir without a bound', volumes({ emptyDir: { sizeLimit: 0 } })],
  ['eleven volumes', volumes(...Array.from({ length: 11 }, () => ({ emptyDir: {} })))],
  [
    'a place in all words',
    placement({
      nodeSelector: { 'carrel.dev/kata': 'true' },
      tolerations: [{ key: 'agents', operator: 'Equal', value: 'only', effect: 'NoSchedule' }, { operator: 'Exists' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/arch', operator: 'In', values: ['amd64'] }] }],
          },
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 5, preference: { matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'Exists' }] } },
          ],
        },
      },
    }),
  ],
  ['a selector by number', placement({ nodeSelector: { gpus: 2 } })],
  ['a selector by a null', placement({ nodeSelector: { a: null, b: 'c' } })],
  ['seventeen selectors', placement({ nodeSelector: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`a${at}`, ''])) })],
  ['a toleration of no effect', placement({ tolerations: [{ effect: 'Never' }] })],
  ['affinity to other pods', placement({ affinity: { podAffinity: {} } })],
  [
    'affinity of an unknown operator',
    placement({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Is' }] }] },
        },
      },
    }),
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
  ['fields of the pod come', () => {}, (r) => Object.assign(r.spec, { runtimeClassName: 'kata-clh', resources: { limits: { cpu: 2 } } })],
  ['an old quantity of no sense, label added', resources({ limits: { cpu: 'much' } }), (r) => (r.metadata.labels = { a: 'b' })],
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
