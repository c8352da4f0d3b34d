import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashOf, versionedPart, withDefaults, type VersionedSpec } from '../../src/operator/runtime/version.ts'
import { podFor } from '../../src/operator/session/pod-for.ts'
import { session, settingsOf, specOf } from './built.ts'

/** A version, and its hash, as an operator stored them before there were fields for the pod. */
const STORED = {
  data: {
    artifact: { container: { image: 'hello:1' } },
    protocol: 'HTTP',
    lifecycle: { idleTimeoutSeconds: 600, maxLifetimeSeconds: 28_800 },
    startTimeoutSeconds: 45,
    environment: [{ name: 'MODEL', value: 'small' }],
  },
  hash: '2dad1932945a7d1d8d5a27753211cd7e',
}
const MANIFEST = {
  artifact: { container: { image: 'hello:1' } },
  lifecycle: { idleTimeoutSeconds: 600 },
  environment: [{ name: 'MODEL', value: 'small' }],
}
const hash = (more: object = {}): string => hashOf(versionedPart(specOf({ ...MANIFEST, ...more })))

test('an upgrade whose schema has more defaults mints no version', () => {
  assert.equal(hash(), STORED.hash)
})

test('a version that was stored before the fields were there gets a pod as one of today', () => {
  const pod = podFor(session(), 1, { revision: 1, data: STORED.data as VersionedSpec }, settingsOf())
  const today = podFor(session(), 1, { revision: 1, data: versionedPart(specOf(MANIFEST)) }, settingsOf())
  assert.deepEqual(pod, today)
  assert.deepEqual(withDefaults(STORED.data as VersionedSpec), versionedPart(specOf(MANIFEST)))
})

const SAME: [string, object][] = [
  ['default limits, spelled out', { resources: { limits: { cpu: 1, memory: '1024Mi', 'ephemeral-storage': 2_147_483_648 } } }],
  ['default user', { securityContext: { runAsUser: 1000, readOnlyRootFilesystem: false } }],
  ['default grace', { lifecycle: { idleTimeoutSeconds: 600, stopGraceSeconds: 4 } }],
  ['no volumes', { volumes: [] }],
  ['no place', { placement: { tolerations: [] } }],
]
for (const [what, more] of SAME) test(`no new version: ${what}`, () => assert.equal(hash(more), hash()))

const OTHER: [string, object][] = [
  ['a limit', { resources: { limits: { memory: '2Gi' } } }],
  ['a request', { resources: { requests: { cpu: '1' } } }],
  ['another user', { securityContext: { runAsUser: 0 } }],
  ['a class', { runtimeClassName: 'kata-clh' }],
  ['an account', { serviceAccountName: 'agents' }],
  ['a place', { placement: { nodeSelector: { a: 'b' } } }],
  ['a volume', { volumes: [{ name: 'a', mountPath: '/a', emptyDir: {} }] }],
  ['a grace', { lifecycle: { idleTimeoutSeconds: 600, stopGraceSeconds: 5 } }],
  ['a pull secret', { artifact: { container: { image: 'hello:1', imagePullSecrets: [{ name: 'mine' }] } } }],
  ['a variable of a Secret', { environment: [{ name: 'MODEL', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] }],
]
test('each field of the pod makes a version of its own', () => {
  const hashes = OTHER.map(([, more]) => hash(more))
  assert.equal(new Set([hash(), ...hashes]).size, OTHER.length + 1)
})

test('one amount in two spellings is one version', () => {
  const limits = (memory: string | number): object => ({ resources: { limits: { memory } } })
  assert.equal(hash(limits('1.5Gi')), hash(limits('1536Mi')))
  assert.equal(hash(limits('1.5Gi')), hash(limits(1_610_612_736)))
})
