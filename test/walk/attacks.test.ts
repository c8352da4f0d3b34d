import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { INCARNATION_LABEL, RUNTIME_LABEL, SESSION_UID_LABEL, type AgentSession } from '../../src/crds/agent-session.ts'
import type { Pod } from '../../src/kube/objects.ts'
import { ApiAccess } from '../kit/api-access.ts'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { PLACE, everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId } from '../kit/raw-gateway.ts'
import { sharedFolder } from '../kit/shared-folder.ts'

const KINDS = '/apis/carrel.dev/v1alpha1/namespaces/default'
const PODS = '/api/v1/namespaces/default/pods'
const MERGE = 'application/merge-patch+json'

/** As a namespace with Pod Security `restricted` wants it. */
const RESTRICTED_SPEC = {
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{ name: 'agent', image: 'impostor', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
}

interface Boot {
  boot: string
}

everywhere('row 3: nobody but the operator writes a status, so nobody aims the gateway or claims an id', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const other = await installation.apply(runtimeManifest('other'))
  const sessionId = newSessionId()
  const { boot } = await installation.gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  const session = (await installation.session(sessionId))!
  const otherId = arn.split('/')[1]

  for (const identity of ['admin', 'gateway', 'kubelet'] as const) {
    const api = new ApiAccess(installation.kubeconfigOf(identity))
    t.after(() => api.close())
    const forged = [
      [
        `${KINDS}/agentsessions/${session.metadata.name}/status`,
        { status: { podName: 'x', podUID: '00000000-0000-0000-0000-000000000000' } },
      ],
      [`${KINDS}/agentruntimes/other/status`, { status: { agentRuntimeId: otherId } }],
    ] as const
    for (const [path, patch] of forged) {
      // A binding that is set is not changed by anybody, which some servers look at first; an admission policy takes a moment to hold.
      const refused = async (): Promise<boolean> => [403, 422].includes((await api.call('PATCH', path, patch, MERGE)).status)
      await eventually(refused, { withinMs: 15_000, because: `${identity} may not write ${path}` })
      await api.call('PATCH', path.replace('/status', ''), patch, MERGE) // refused, or the status in it is ignored
    }
  }
  const untouched = (await installation.session(sessionId))!
  assert.deepEqual([untouched.status?.podName, untouched.status?.podUID], [session.status?.podName, session.status?.podUID])
  assert.equal((await installation.gateway.ask<Boot>(arn, sessionId, { do: 'boot' })).boot, boot)
  assert.notEqual((await installation.gateway.ask<Boot>(other, sessionId, { do: 'boot' })).boot, boot)
})

everywhere(
  'row 3: only the gateway opens pods for sessions through the operator; each part has no right that it does not use',
  async (t) => {
    const installation = await Installation.start(t)
    const secret = '/api/v1/namespaces/carrel-system/secrets/local-access-key'
    const refused: ['operator' | 'gateway' | 'kubelet', 'GET' | 'POST' | 'DELETE', string][] = [
      // A real kubelet shows the API server what its node runs by itself.
      ...(PLACE === 'cluster' ? [] : ([['kubelet', 'POST', PODS]] as ['kubelet', 'POST', string][])),
      ['operator', 'GET', secret],
      ['operator', 'POST', `${KINDS}/agentsessions`],
      ['gateway', 'POST', PODS],
      ['gateway', 'DELETE', `${PODS}/any`],
      ['gateway', 'POST', `${KINDS}/agentruntimes`],
      ['kubelet', 'GET', `${KINDS}/agentsessions`],
    ]
    for (const [identity, method, path] of refused) {
      const api = new ApiAccess(installation.kubeconfigOf(identity))
      t.after(() => api.close())
      const { status, body } = await api.call<{ reason: string }>(method, path, method === 'POST' ? {} : undefined)
      assert.deepEqual([status, body.reason], [403, 'Forbidden'], `${identity} ${method} ${path}`)
    }
  },
)

everywhere("rows 3 and 10: a pod that wears a session's labels is never called, and is deleted on sight", async (t) => {
  const installation = await Installation.start(t)
  const { api, gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const { boot } = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  const session = (await installation.session(sessionId))!
  const forged = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'impostor',
      namespace: 'default',
      labels: { [SESSION_UID_LABEL]: session.metadata.uid, [INCARNATION_LABEL]: '1', [RUNTIME_LABEL]: 'probe' },
      ownerReferences: [ownerOf(session)],
    },
    spec: RESTRICTED_SPEC,
  }
  assert.equal((await api.call('POST', PODS, forged)).status, 201)
  assert.equal((await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })).boot, boot)
  await eventually(async () => (await api.call('GET', `${PODS}/impostor`)).status === 404, {
    withinMs: 15_000,
    because: 'the impostor is deleted',
  })
  assert.equal((await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })).boot, boot)
  assert.equal((await installation.session(sessionId))?.status?.podUID, session.status?.podUID)
})

everywhere('row 7: a captured signature carries no other body, header or session; the agent sees no byte of it', async (t) => {
  const installation = await Installation.start(t)
  const record = join(sharedFolder(t), 'bytes')
  const { gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe', { environment: { RECORD_FILE: record } }))
  const other = await installation.apply(runtimeManifest('other', { environment: { RECORD_FILE: record } }))
  const sessionId = newSessionId()
  const request = {
    path: invocationPath(arn),
    headers: { [SESSION_HEADER]: sessionId, 'content-type': 'application/json' },
    body: '{"do":"boot"}',
  }
  assert.equal((await gateway.send(request)).status, 200)
  const seen = readFileSync(record, 'utf8')
  assert.match(seen, /\{"do":"boot"\}/)

  const changes = {
    'another body': { body: '{"do":"evil"}' },
    'a longer body': { body: '{"do":"boot"} ' },
    'another session': { headers: { [SESSION_HEADER]: newSessionId() } },
    'another path': { path: invocationPath(other) },
    'an added query': { path: `${request.path}?qualifier=DEFAULT` },
    'no hash of the body': { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
    'an added x-amz header': { headers: { 'x-amz-security-token': 'stale' } },
  }
  for (const [what, change] of Object.entries(changes)) {
    const answer = await gateway.send(request, change)
    assert.equal(answer.status, 403, `${what}: ${answer.body}`)
    assert.equal(answer.headers['x-amzn-errortype'], 'AccessDeniedException', what)
  }
  assert.equal(readFileSync(record, 'utf8'), seen)
  assert.equal((await installation.sessions()).length, 1)
})

everywhere("row 10: with a session's end its connections end; the next incarnation has another address", async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  await gateway.ask(arn, sessionId, { do: 'boot' })
  const address = await installation.addressOf(sessionId)
  await Promise.all(Array.from({ length: 8 }, () => gateway.ask(arn, sessionId, { do: 'sleep', ms: 200 })))
  const connections = (): number => connectionsTo(address, installation.gatewayPids())
  assert.ok(connections() > 0, 'the gateway keeps connections to a live session')

  await gateway.stop(arn, sessionId)
  await eventually(() => connections() === 0, { withinMs: 5_000, because: 'the pool went with its route' })
  await gateway.ask(arn, sessionId, { do: 'boot' })
  assert.notEqual(await installation.addressOf(sessionId), address)
  assert.equal(connections(), 0)
})

everywhere('row 15: an agent cannot set cookies or act as a page; a caller cannot forge what Carrel says to agents', async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const allowHeaders = ['X-Amzn-Bedrock-AgentCore-Runtime-Custom-Colour']
  const arn = await installation.apply(runtimeManifest('probe', { allowHeaders }))
  const sessionId = newSessionId()
  const page = await gateway.invoke(arn, sessionId, { do: 'html' })
  assert.equal(page.status, 200)
  assert.equal(page.headers['x-content-type-options'], 'nosniff')
  assert.equal(page.headers['content-security-policy'], 'sandbox')
  assert.equal(page.headers['set-cookie'], undefined)
  assert.equal(page.headers['x-frame-options'], undefined)

  const forged = {
    WorkloadAccessToken: 'forged',
    workload_access_token: 'forged',
    OAuth2CallbackUrl: 'https://evil.example',
    'X-Amzn-Bedrock-AgentCore-Runtime-Request-Id': 'forged',
    'X-Amzn-Bedrock-AgentCore-Runtime-User-Id': 'forged',
    'X-Forwarded-For': '10.0.0.1',
    Cookie: 'forged=1',
    'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Colour': 'blue',
  }
  const answer = await gateway.invoke(arn, sessionId, { do: 'headers' }, forged)
  assert.equal(answer.status, 200, answer.body)
  const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> }
  assert.equal(headers['x-amzn-bedrock-agentcore-runtime-custom-colour'], 'blue')
  assert.equal(headers['x-amzn-bedrock-agentcore-runtime-session-id'], sessionId)
  assert.ok(!JSON.stringify(headers).includes('forged') && !JSON.stringify(headers).includes('evil'), JSON.stringify(headers))
  for (const name of ['authorization', 'cookie', 'x-forwarded-for', 'x-amz-date']) assert.equal(headers[name], undefined, name)

  const redirect = await gateway.invoke(arn, sessionId, { do: 'status', code: 302, location: 'http://169.254.169.254/' })
  assert.equal(redirect.status, 424)
  assert.equal(redirect.headers['location'], undefined)
  assert.equal(redirect.headers['set-cookie'], undefined)
})

function ownerOf({ apiVersion, kind, metadata }: AgentSession): NonNullable<Pod['metadata']['ownerReferences']>[number] {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid!, controller: true, blockOwnerDeletion: true }
}

/** Established TCP connections of these processes' networks whose far end is that IPv4 address; proc(5). */
function connectionsTo(address: string, pids: number[]): number {
  const ESTABLISHED = '01'
  const far = Buffer.from(address.split('.').map(Number).toReversed()).toString('hex').toUpperCase()
  const tables = pids.map((pid) => readFileSync(`/proc/${pid}/net/tcp`, 'utf8'))
  const rows = tables.flatMap((table) => table.split('\n')).map((line) => line.trim().split(/\s+/))
  return rows.filter(([, , remote, state]) => state === ESTABLISHED && remote?.startsWith(`${far}:`)).length
}
