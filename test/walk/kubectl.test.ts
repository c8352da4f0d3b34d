import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

interface Fixture {
  installation: Installation
  kubectl(...parameters: string[]): Promise<{ stdout: string; stderr: string; code: number }>
  file(manifest: object): string
}

async function fixture(t: TestContext): Promise<Fixture | undefined> {
  const path = needs(t, 'CARREL_TEST_KUBECTL')
  if (!path) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'carrel-kubectl-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const installation = await Installation.start(t)
  const file = (manifest: object): string => {
    const name = join(folder, 'manifest.yaml')
    writeFileSync(name, stringify(manifest))
    return name
  }
  return { installation, kubectl: (...parameters) => installation.kubectl(path, ...parameters), file }
}

everywhere('kubectl: apply twice, get, describe, logs, delete with sessions live; all is gone within 10 s', async (t) => {
  const f = await fixture(t)
  if (!f) return
  const { installation, kubectl } = f
  const file = f.file(runtimeManifest('probe'))
  assert.match((await kubectl('apply', '-f', file)).stdout, /agentruntime.carrel.dev\/probe created/)
  assert.match((await kubectl('apply', '-f', file)).stdout, /agentruntime.carrel.dev\/probe unchanged/)
  await kubectl('wait', '--for=condition=Ready', 'art/probe', '--timeout=15s')
  const arn = (await kubectl('get', 'art', 'probe', '-o', 'jsonpath={.status.agentRuntimeArn}')).stdout
  assert.match(arn, /^arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime\/probe-[A-Za-z0-9]{10}$/)

  const sessionId = newSessionId()
  const { pid } = await installation.gateway.ask<{ pid: number }>(arn, sessionId, { do: 'boot' })
  const agent = await installation.pidHere(sessionId, pid)
  await eventually(async () => /Running/.test((await kubectl('get', 'ags')).stdout), {
    withinMs: 10_000,
    because: 'kubectl shows the session as Running',
  })
  const table = (await kubectl('get', 'art,ags,pods')).stdout
  assert.match(table, /NAME +READY +VERSION +REASON +AGE\nagentruntime.carrel.dev\/probe +True +1 +Ready/)
  assert.match(
    table,
    /NAME +RUNTIME +PHASE +INCARNATION +CPU-SECONDS +AGE +EXPIRES +REASON\nagentsession.carrel.dev\/probe-\w+ +probe +Running +1 +\d+s +20\d\d-/,
  )
  assert.match(table, /pod\/probe-\w+-1 +(\d)\/\1 +Running/)
  assert.match(
    (await kubectl('describe', 'ags')).stdout,
    /Session Id: +test-session-[\s\S]*Conditions:[\s\S]*Type: +Ready[\s\S]*Events:[\s\S]*Running/,
  )
  assert.match((await kubectl('logs', '-l', 'carrel.dev/runtime=probe')).stdout, /probe [-0-9a-f]+ listens/)

  const deletedAt = performance.now()
  assert.equal((await kubectl('delete', 'art', 'probe')).code, 0)
  await eventually(async () => (await kubectl('get', 'art,ags,pods')).stderr.includes('No resources found'), {
    withinMs: 10_000 - (performance.now() - deletedAt),
    because: 'runtime, session and pod are gone',
  })
  assert.deepEqual(installation.agents(), [])
  assert.throws(() => process.kill(agent, 0))
})

everywhere('kubectl get -w shows a session come and go', async (t) => {
  const f = await fixture(t)
  const kubectlPath = process.env['CARREL_TEST_KUBECTL']!
  if (!f) return
  const arn = await f.installation.apply(runtimeManifest('probe'))
  const watch = spawn(kubectlPath, ['get', 'ags', '-w', '--output-watch-events'], {
    env: { ...process.env, KUBECONFIG: f.installation.kubeconfigOf('admin') },
  })
  let seen = ''
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString('utf8')))
  t.after(() => watch.kill())
  const sessionId = newSessionId()
  await f.installation.gateway.ask(arn, sessionId, { do: 'boot' })
  await eventually(() => seen.includes('Running'), { withinMs: 10_000, because: 'the watch shows it Running' })
  await f.installation.gateway.stop(arn, sessionId)
  await eventually(() => /ADDED[\s\S]*MODIFIED[\s\S]*Running[\s\S]*Terminated +1 .*Stopped/.test(seen), {
    withinMs: 15_000,
    because: 'the whole story is told',
  })
})

everywhere('a new version: a live session keeps its own, the next one takes the new', async (t) => {
  const f = await fixture(t)
  if (!f) return
  const { installation, kubectl } = f
  const arn = await installation.apply(runtimeManifest('probe', { environment: { COLOUR: 'red' } }))
  const [old, fresh] = [newSessionId(), newSessionId()]
  const colourOf = async (id: string): Promise<string | undefined> =>
    (await installation.gateway.ask<{ environment: Record<string, string> }>(arn, id, { do: 'boot' })).environment['COLOUR']
  assert.equal(await colourOf(old), 'red')
  await kubectl('apply', '-f', f.file(runtimeManifest('probe', { environment: { COLOUR: 'blue' } })))
  await eventually(async () => (await kubectl('get', 'art', 'probe', '-o', 'jsonpath={.status.latestVersion}')).stdout === '2', {
    withinMs: 10_000,
    because: 'version 2 is minted',
  })
  assert.equal(await colourOf(old), 'red')
  assert.equal(await colourOf(fresh), 'blue')
  await installation.gateway.stop(arn, old)
  assert.equal(await colourOf(old), 'blue', 'a new incarnation takes the version of that moment')
})

const refused: [string, (manifest: ReturnType<typeof runtimeManifest>) => void, RegExp][] = [
  [
    'idle above max',
    (m) => Object.assign(m.spec.lifecycle, { idleTimeoutSeconds: 20, maxLifetimeSeconds: 10 }),
    /spec\.lifecycle\.idleTimeoutSeconds/,
  ],
  ['a name of 36 characters', (m) => (m.metadata.name = 'a'.repeat(36)), /metadata\.name/],
  ['a dot in the name', (m) => (m.metadata.name = 'a.b'), /metadata\.name/],
  ['no artifact', (m) => (m.spec.artifact = {}), /spec\.artifact/],
  ['an unknown protocol', (m) => (m.spec.protocol = 'GOPHER' as never), /spec\.protocol/],
  ['a wrong type', (m) => (m.spec.startTimeoutSeconds = 'soon' as never), /spec\.startTimeoutSeconds/],
  ['an unknown field', (m) => Object.assign(m.spec, { warmPool: {} }), /unknown field "spec\.warmPool"/],
]

everywhere('bad manifests are refused with the field, and the old object stays', async (t) => {
  const f = await fixture(t)
  if (!f) return
  await f.kubectl('apply', '-f', f.file(runtimeManifest('probe')))
  const before = (await f.kubectl('get', 'art', 'probe', '-o', 'jsonpath={.spec}')).stdout
  for (const [what, spoil, field] of refused) {
    const manifest = runtimeManifest('probe')
    spoil(manifest)
    const { code, stderr } = await f.kubectl('apply', '-f', f.file(manifest))
    assert.notEqual(code, 0, what)
    assert.match(stderr, field, what)
  }
  assert.equal((await f.kubectl('get', 'art', 'probe', '-o', 'jsonpath={.spec}')).stdout, before)

  const unknown = runtimeManifest('probe')
  Object.assign(unknown.spec, { warmPool: {} })
  const lenient = await f.kubectl('apply', '--validate=warn', '-f', f.file(unknown))
  assert.equal(lenient.code, 0)
  assert.match(lenient.stderr, /Warning: unknown field "spec\.warmPool"/)
})

everywhere('a status in a manifest is ignored, and its subresource is for the operator alone', async (t) => {
  const f = await fixture(t)
  if (!f) return
  const claim = { ...runtimeManifest('probe'), status: { agentRuntimeId: 'other-0000000000' } }
  await f.kubectl('apply', '--validate=false', '-f', f.file(claim))
  await f.kubectl('wait', '--for=condition=Ready', 'art/probe', '--timeout=15s')
  assert.match((await f.kubectl('get', 'art', 'probe', '-o', 'jsonpath={.status.agentRuntimeId}')).stdout, /^probe-/)
  const path = '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/probe/status'
  const answer = await f.installation.api.call<{ reason: string }>(
    'PATCH',
    path,
    { status: { agentRuntimeId: 'other' } },
    'application/merge-patch+json',
  )
  assert.deepEqual([answer.status, answer.body.reason], [403, 'Forbidden'])
})
