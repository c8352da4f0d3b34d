/** The words are those of the real API server: each refusal is brought about there. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { ApiError } from '../../src/kube/errors.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { refusalOfCreate } from '../../src/operator/session/create-refusal.ts'
import { eventually } from '../kit/eventually.ts'
import { lendPlane, type LentPlane } from '../kit/planes.ts'
import { needs } from '../kit/ring.ts'

const NAMESPACES: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
const QUOTAS: Resource = { group: '', version: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true }
const RANGES: Resource = { group: '', version: 'v1', kind: 'LimitRange', plural: 'limitranges', namespaced: true }
const ADMISSION = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false }
const POLICIES: Resource = { ...ADMISSION, kind: 'ValidatingAdmissionPolicy', plural: 'validatingadmissionpolicies' }
const BINDINGS: Resource = { ...ADMISSION, kind: 'ValidatingAdmissionPolicyBinding', plural: 'validatingadmissionpolicybindings' }

let lent: LentPlane | undefined
let transport: Transport & { close(): Promise<void> }
let admin: KubeClient

before(async () => {
  if (!process.env['CARREL_TEST_CONTROL_PLANE']) return
  lent = await lendPlane()
  transport = httpTransport(lent.plane.access)
  admin = new KubeClient(transport)
})
after(async () => {
  await transport?.close()
})

async function namespace(name: string, labels: Record<string, string> = {}): Promise<string> {
  await admin.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  const accounts = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true }
  await eventually(() => admin.find(accounts, name, 'default'), { withinMs: 30_000, because: 'the namespace has its service account' })
  return name
}

function podIn(where: string, spec: Record<string, unknown> = {}): Pod {
  const resources = { limits: { cpu: '1', memory: '64Mi' } }
  const containers = [{ name: 'agent', image: 'agent', resources }]
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-1', namespace: where }, spec: { containers, ...spec } } as Pod
}

/** Policies and quotas reach the API server's own caches a moment late. */
function refused(pod: Pod, client = admin): Promise<ApiError> {
  return eventually(
    async () => {
      try {
        const { metadata } = await client.create(PODS, pod)
        await client.delete(PODS, metadata.namespace, metadata.name, { uid: metadata.uid!, gracePeriodSeconds: 0 })
        return undefined
      } catch (error) {
        if (error instanceof ApiError && error.status !== 409 && !error.message.includes('status unknown')) return error
        throw error
      }
    },
    { withinMs: 20_000, because: 'the API server refuses the pod' },
  )
}

async function made(resource: Resource, object: object): Promise<void> {
  await admin.create(resource, object as KubeObject)
}

describe('a pod that the API server refuses', () => {
  test('over a quota', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('quota')
    const hard = { pods: '0' }
    const few = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few', namespace: where }, spec: { hard } }
    await made(QUOTAS, few)
    const status = { hard, used: { pods: '0' } } // as the controller of quotas writes it
    await admin.mergePatch(QUOTAS, where, 'few', { status }, { subresource: 'status' })
    const error = await refused(podIn(where))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'QuotaExceeded')
    assert.match(ending.message, /ResourceQuota of namespace quota .*exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0/)
  })

  test('outside of a LimitRange', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('range')
    const limits = [{ type: 'Container', max: { memory: '32Mi' } }]
    await made(RANGES, { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'small', namespace: where }, spec: { limits } })
    const error = await refused(podIn(where))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /LimitRange of namespace range .*maximum memory usage per Container is 32Mi, but limit is 64Mi/)
  })

  test('against Pod Security', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('secure', { 'pod-security.kubernetes.io/enforce': 'restricted' })
    const error = await refused(podIn(where))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /Pod Security of namespace secure .*violates PodSecurity "restricted:latest": allowPrivilegeEscalation/)
  })

  test('against a ValidatingAdmissionPolicy', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('policy')
    const resourceRules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }]
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': where } }
    const validations = [{ expression: 'false', message: 'no agents on Fridays' }]
    await made(POLICIES, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'no-agents' },
      spec: { failurePolicy: 'Fail', matchConstraints: { resourceRules, namespaceSelector }, validations },
    })
    await made(BINDINGS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'no-agents' },
      spec: { policyName: 'no-agents', validationActions: ['Deny'] },
    })
    const error = await refused(podIn(where))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /a policy of the cluster .*no agents on Fridays/)
  })

  test('with a RuntimeClass that is not there', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('class')
    const error = await refused(podIn(where, { runtimeClassName: 'kata-nowhere' }))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'RuntimeClassMissing')
    assert.match(ending.message, /spec\.runtimeClassName.*RuntimeClass "kata-nowhere" not found/)
  })

  test('with a ServiceAccount that is not there', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('account')
    const error = await refused(podIn(where, { serviceAccountName: 'nobody' }))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /spec\.serviceAccountName.*serviceaccount "nobody" not found/)
  })

  test('with a field that it does not take', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('field')
    const error = await refused(podIn(where, { nodeSelector: { 'not a label': 'x' } }))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /the API server refuses the pod: .*nodeSelector/)
  })

  test('in a namespace where the operator may not create any', async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
    const where = await namespace('foreign')
    const asking = { method: 'POST', path: `/api/v1/namespaces/${where}/serviceaccounts/default/token`, body: { spec: {} } } as const
    const { body } = await transport.request(asking)
    const { token } = (body as { status: { token: string } }).status
    const theirs = httpTransport({ ...lent!.plane.access, token: () => token })
    t.after(() => theirs.close())
    const error = await refused(podIn(where), new KubeClient(theirs))
    const ending = refusalOfCreate(error, where)
    assert.equal(ending?.reason, 'AdmissionRefused')
    assert.match(ending.message, /namespace foreign is no session namespace .*sessionNamespaces/)
  })
})
