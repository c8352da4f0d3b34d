/** Each way in which a real pod ends, or never starts, by its own reason; and the next call opens the next incarnation. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import type { EndReason } from '../../src/sessions/end-reason.ts'
import { eventually } from '../kit/eventually.ts'
import { errorOf } from '../kit/wire-error.ts'
import { agentImageOf } from './images/archives.ts'
import { agentManifest, imageOf, ownBed, type OwnBed, type Refused } from './own-bed.ts'

const DEFAULT = '/api/v1/namespaces/default'
const CLASSES = '/apis/node.k8s.io/v1/runtimeclasses'
/** From kubelet's word to the caller's answer; and what a busy machine is late by, the word's second being rounded down. */
const TOLD_WITHIN_MS = 2_000
const SLACK_MS = 3_000

function isToldInTime(t: TestContext, { toldAfterMs, warnings }: Refused): void {
  assert.ok(toldAfterMs < TOLD_WITHIN_MS + SLACK_MS, warnings.join('\n'))
  t.diagnostic(`told ${toldAfterMs} ms after kubelet's word`)
}

test('the agent is killed: AgentExited', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const running = await bed.running(agentManifest('killed'))
  for (const pid of bed.installation.agents(running.podUID)) process.kill(pid, 'SIGKILL')
  const { status } = await bed.ended(running.sessionId, 'AgentExited')
  assert.match(status!.endMessage!, /code 137 \(signal 9\)/)
  await bed.reopens(running)
})

test('the agent takes more memory than its limit: OutOfMemory', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const resources = { limits: { cpu: '1', memory: '192Mi', 'ephemeral-storage': '1Gi' } }
  const running = await bed.running(agentManifest('hungry', { resources }))
  await bed.installation.gateway.ask(running.arn, running.sessionId, { do: 'eat' })
  const { status } = await bed.ended(running.sessionId, 'OutOfMemory')
  assert.match(status!.endMessage!, /limit of 192Mi.*spec\.resources\.limits\.memory/)
  await bed.reopens(running)
})

test('the agent fills its disk: StorageExceeded', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const resources = { limits: { cpu: '1', memory: '512Mi', 'ephemeral-storage': '48Mi' } }
  const running = await bed.running(agentManifest('filling', { resources }))
  await bed.installation.gateway.ask(running.arn, running.sessionId, { do: 'fill' })
  const { status } = await bed.ended(running.sessionId, 'StorageExceeded')
  assert.match(status!.endMessage!, /ephemeral.*spec\.resources\.limits/)
  await bed.reopens(running)
})

test('the Eviction API: Evicted', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const running = await bed.running(agentManifest('evicted'))
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: running.podName } }
  assert.equal((await bed.installation.api.call('POST', `${DEFAULT}/pods/${running.podName}/eviction`, eviction)).status, 201)
  await bed.ended(running.sessionId, 'Evicted')
  await bed.reopens(running)
})

test('delete --force: PodLost', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const running = await bed.running(agentManifest('forced'))
  const now = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 }
  assert.equal((await bed.installation.api.call('DELETE', `${DEFAULT}/pods/${running.podName}`, now)).status, 200)
  await bed.ended(running.sessionId, 'PodLost')
  await bed.reopens(running)
})

function ofImage(name: string, image: string): AgentRuntime {
  const manifest = agentManifest(name)
  return { ...manifest, spec: { ...manifest.spec, artifact: { container: { image, imagePullPolicy: 'IfNotPresent' } } as never } }
}

const unpullable: [repository: string, reason: EndReason, tells: RegExp][] = [
  ['missing', 'ImageNotFound', /spec\.artifact\.container\.image/],
  ['private', 'ImagePullDenied', /spec\.artifact\.container\.imagePullSecrets/],
  ['denied', 'ImagePullDenied', /spec\.artifact\.container\.imagePullSecrets/],
  ['other-processor', 'WrongArchitecture', /--platform linux\/amd64,linux\/arm64/],
]
for (const [repository, reason, tells] of unpullable)
  test(`an image that the registry ${repository === 'missing' ? 'does not have' : `has as ${repository}`}: ${reason}, within 2 s`, async (t) => {
    const bed = await ownBed(t)
    if (!bed) return
    const refused = await bed.refused(ofImage(repository, imageOf(repository)))
    const { error, session } = refused
    assert.deepEqual([error.status, error.type], [424, 'RuntimeClientError'])
    assert.match(error.message, new RegExp(reason))
    assert.match(error.message, tells)
    assert.equal(session.status?.endReason, reason)
    isToldInTime(t, refused)
  })

test('no RuntimeClass of that name, and one that no node serves: RuntimeClassMissing', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const { api } = bed.installation
  const { body: ours } = await api.call<{ metadata: { name: string; labels: object } }>('GET', `${CLASSES}/carrel-runc`)
  const { name, labels } = ours.metadata
  const remade = async (handler: string): Promise<void> => {
    await api.call('DELETE', `${CLASSES}/carrel-runc`)
    const made = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name, labels }, handler }
    assert.equal((await api.call('POST', CLASSES, made)).status, 201)
  }
  try {
    await remade('kata-nowhere')
    const refused = await bed.refused(agentManifest('handlerless'))
    assert.match(refused.error.message, /RuntimeClassMissing.*no runtime handler kata-nowhere: .*spec\.runtimeClassName/)
    isToldInTime(t, refused)
    await api.call('DELETE', `${CLASSES}/carrel-runc`)
    const { error } = await bed.refused(agentManifest('classless'))
    assert.match(error.message, /RuntimeClassMissing.*spec\.runtimeClassName/)
  } finally {
    await remade('runc')
  }
})

test('a quota that leaves no room: QuotaExceeded', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const { api } = bed.installation
  const quotas = `${DEFAULT}/resourcequotas`
  await api.call('POST', quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'none' }, spec: { hard: { pods: '0' } } })
  const status = (): Promise<{ body: { status?: { hard?: object } } }> => api.call('GET', `${quotas}/none`)
  await eventually(async () => (await status()).body.status?.hard, { withinMs: 20_000, because: 'the quota is in force' })
  let refused: Refused
  try {
    refused = await bed.refused(agentManifest('crowded'))
  } finally {
    await api.call('DELETE', `${quotas}/none`)
  }
  const { error, session } = refused
  assert.deepEqual([error.status, error.type], [424, 'RuntimeClientError'])
  assert.match(error.message, /QuotaExceeded.*ResourceQuota of namespace default.*exceeded quota: none/)
  assert.equal(session.status?.podUID, undefined, 'no pod was made')
})

test('more than any node has: Unschedulable after startTimeoutSeconds', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const amounts = { cpu: '1', memory: '900Gi', 'ephemeral-storage': '1Gi' }
  const { error } = await bed.refused(agentManifest('huge', { resources: { limits: amounts, requests: amounts }, startTimeoutSeconds: 3 }))
  assert.match(error.message, /Unschedulable.*within 3 s.*Insufficient memory/)
})

test('an image for this processor whose program is for another: WrongArchitecture, by what runc says when it runs it', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const folder = mkdtempSync(join(tmpdir(), 'carrel-other-processor-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'agent'), programForAnotherProcessor(), { mode: 0o755 })
  const { archive, reference } = agentImageOf(folder, { command: ['/app/agent'] })
  await bed.cluster.importImage(archive)
  const { error } = await bed.refused(ofImage('foreign', reference))
  assert.match(error.message, /WrongArchitecture.*exec format error.*--platform/)
})

/** The head of an ELF file (elf(5)), which is all that the kernel looks at. */
function programForAnotherProcessor(): Buffer {
  const head = Buffer.alloc(120)
  head.write('\x7fELF\x02\x01\x01', 'latin1')
  head.writeUInt16LE(2, 16) // executable
  head.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18) // x86-64, AArch64
  head.writeUInt32LE(1, 20)
  head.writeBigUInt64LE(64n, 32) // program headers follow
  for (const [index, value] of [64, 56, 1].entries()) head.writeUInt16LE(value, 52 + 2 * index)
  head.writeUInt32LE(1, 64)
  return head
}

test('an agent that is root where Pod Security forbids it: AdmissionRefused', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const { error } = await bed.refused(agentManifest('rooted', { securityContext: { runAsUser: 0 } }))
  assert.match(error.message, /AdmissionRefused.*Pod Security of namespace default/)
})

test('a Secret that is not there: told at once', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const environment = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }]
  const refused = await bed.refused(agentManifest('keyless', {}, { environment } as never))
  assert.match(refused.error.message, /StartFailed.*spec\.environment.*secret "keys" not found/)
  isToldInTime(t, refused)
})

test('an agent that writes where only root may: its last lines for who may read them, and the field that allows it', async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const command = ['node', '-e', "require('node:fs').writeFileSync('/etc/agent.conf', 'x')"]
  const { error, session } = await bed.refused(agentManifest('writer', { command }))
  assert.match(error.message, /StartFailed.*code 1.*runs as user 1000 \(spec\.securityContext\.runAsUser\).*runAsUser: 0.*EACCES/s)
  assert.ok(session.status?.lastLog?.some((line) => line.includes('/etc/agent.conf')))
  assert.doesNotMatch(session.status?.endMessage ?? '', /agent\.conf/)
})

/** Where a cluster has no node that answers, it evicts nobody: this one is there, and takes no pod. */
async function secondNode(bed: OwnBed): Promise<() => Promise<void>> {
  const { api } = bed.installation
  const name = 'node-2'
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
  await api.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { unschedulable: true } })
  const alive = async (): Promise<void> => {
    const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '', lastHeartbeatTime: new Date().toISOString() }]
    await api.call('PATCH', `/api/v1/nodes/${name}/status`, { status: { conditions } }, 'application/strategic-merge-patch+json')
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: new Date().toISOString().replace('Z', '000Z') }
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec }
    const renewed = await api.call('PATCH', `${leases}/${name}`, { spec }, 'application/merge-patch+json')
    if (renewed.status === 404) await api.call('POST', leases, lease)
  }
  await alive()
  let failed: unknown
  const beat = setInterval(() => void alive().catch((error: unknown) => (failed = error)), 2_000)
  return async () => {
    clearInterval(beat)
    await api.call('DELETE', `/api/v1/nodes/${name}`)
    if (failed) throw failed
  }
}

test("the node falls silent: NodeLost while the pod's object lingers, the next call is told that there is no room, and the node that is back takes the next", async (t) => {
  const bed = await ownBed(t)
  if (!bed) return
  const { api } = bed.installation
  const running = await bed.running(agentManifest('silent', { startTimeoutSeconds: 5 }))
  const takeAway = await secondNode(bed)
  const gateway = await bed.gatewayByAddress() // a Service leaves out pods of a node that is not ready
  t.after(() => gateway.close())
  await bed.cluster.kubelet.stop()
  try {
    const { status } = await bed.ended(running.sessionId, 'NodeLost', 150_000)
    assert.match(status!.endMessage!, new RegExp(`node ${bed.cluster.nodeName} .*stopped answering`))
    const pod = await api.call<{ metadata: { uid: string; deletionTimestamp?: string } }>('GET', `${DEFAULT}/pods/${running.podName}`)
    assert.equal(pod.body.metadata.uid, running.podUID, 'nobody forced it')
    assert.ok(pod.body.metadata.deletionTimestamp)
    const error = errorOf(await gateway.invoke(running.arn, running.sessionId, { do: 'boot' }))
    assert.match(error.message, /Unschedulable.*within 5 s/)
  } finally {
    bed.cluster.kubelet.start()
    await takeAway()
  }
  await bed.untilReady()
  const next = await gateway.ask<{ boot: string }>(running.arn, running.sessionId, { do: 'boot' })
  assert.notEqual(next.boot, running.boot)
  assert.equal((await bed.installation.session(running.sessionId))?.spec.incarnation, 3)
})
