import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { EventEmitter, on, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { PODS } from '../../src/kube/resource.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import type { PodLogs } from '../../src/local/api/call.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { embeddedServer } from '../kit/embedded-server.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'

const TOKEN = 'token-of-the-command-line'
/** The launcher is any Node's, and starts another process; the command itself is the rest. */
const LAUNCHER = join(import.meta.dirname, '../../bin/carrel.js')
const COMMAND = join(import.meta.dirname, '../../src/cli/main.ts')

/** What an agent writes until it is told to end. */
const agentLog = new EventEmitter()
const logs: PodLogs = {
  async *read(_pod, _container, { follow }, signal) {
    yield Buffer.from('first\n')
    if (!follow) return
    for await (const [line] of on(agentLog, 'line', { ...(signal ? { signal } : {}), close: ['end'] })) yield Buffer.from(`${line}\n`)
  },
}

let server: Awaited<ReturnType<typeof embeddedServer>>
let folder: string
let kubeconfig: string
let environment: Record<string, string>
before(async () => {
  server = await embeddedServer(TOKEN, { user: 'admin', groups: ['system:masters', 'system:authenticated'], allows: () => true }, logs)
  folder = await mkdtemp(join(tmpdir(), 'carrel-cli-'))
  kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigFor({ server: server.url, ca: server.ca, token: TOKEN, user: 'admin', namespace: 'team' }), {
    mode: 0o600,
  })
  environment = { PATH: process.env['PATH']!, HOME: folder, KUBECONFIG: kubeconfig }
  await namespace('team')
})
after(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

async function namespace(name: string): Promise<void> {
  const transport = httpTransport({ server: server.url, ca: server.ca, token: () => TOKEN })
  await transport.request({ method: 'POST', path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } })
  await transport.close()
}

interface Ran {
  code: number
  out: string
  notes: string
}

function carrel(argv: string[], env: Record<string, string> = environment): Promise<Ran> {
  return run(process.execPath, [COMMAND, ...argv], env)
}

function run(command: string, argv: string[], env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, argv, { env, timeout: 30_000 }, (error, out, notes) => resolve({ code: error ? Number(error.code) : 0, out, notes }))
  })
}

test('as a process: a key is made, listed and revoked, in the exit codes that scripts read', async () => {
  const made = await carrel(['keys', 'create', '--user', 'ann', '-o', 'json'])
  assert.equal(made.code, 0, made.notes)
  const { accessKeyId, secretAccessKey } = JSON.parse(made.out) as Record<string, string>
  const listed = await carrel(['keys', 'list'])
  assert.match(listed.out, new RegExp(`^KEY .*\n${accessKeyId} +ann `))
  assert.ok(!listed.out.includes(secretAccessKey!))
  assert.equal((await carrel(['keys', 'revoke', accessKeyId!])).code, 0)
  const again = await run(process.execPath, [LAUNCHER, 'keys', 'revoke', accessKeyId!], environment)
  assert.equal(again.code, 1)
  assert.match(again.notes, /nothing was revoked/)
})

test('without a cluster, or with one that is away, it says what to do', async () => {
  const none = await carrel(['sessions'], { PATH: environment['PATH']!, HOME: folder })
  assert.equal(none.code, 1)
  assert.match(none.notes, /^carrel: no cluster is named: after `npm start`, `source \.carrel\/env`/)
  const gone = join(folder, 'gone')
  await writeFile(gone, kubeconfigFor({ server: 'https://127.0.0.1:1', ca: server.ca, token: 'x', user: 'admin', namespace: 'team' }))
  const away = await carrel(['sessions', '--kubeconfig', gone])
  assert.equal(away.code, 1)
  assert.match(away.notes, /the Kubernetes API does not answer .*ECONNREFUSED/)
  const unknown = await carrel(['sessions', '--kubeconfig', join(folder, 'not there')])
  assert.match(unknown.notes, /cannot be read \(ENOENT\)/)
})

test("kubectl takes the lines that a new key's Role is proposed by", async (t) => {
  if (!needs(t, 'CARREL_TEST_KUBECTL')) return
  const { out } = await carrel(['keys', 'create', '--user', "o'neil of sales"])
  const lines = out.split('\n').filter((line) => line.startsWith('  kubectl create'))
  assert.equal(lines.length, 2)
  for (const line of lines) {
    const command = line.trim().replace(/^kubectl/, process.env['CARREL_TEST_KUBECTL']!)
    const made = await run('/bin/sh', ['-c', command], environment)
    assert.equal(made.code, 0, made.notes)
  }
  const can = await run(
    process.env['CARREL_TEST_KUBECTL']!,
    ['auth', 'can-i', 'create', 'agentruntimes.carrel.dev', '--subresource=invocations', '--as', "o'neil of sales", '-n', 'team'],
    environment,
  )
  assert.equal(can.out.trim(), 'yes', can.notes)
})

/** What a gateway answers, on a real port. */
async function gateway(t: TestContext, answer: unknown): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = []
  const listening = createServer((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await once(listening.listen(0, '127.0.0.1'), 'listening')
  t.after(() => listening.close())
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, seen }
}

test("sessions of the context's namespace, live in a pipe until it is told to end", async (t) => {
  const transport = httpTransport({ server: server.url, ca: server.ca, token: () => TOKEN })
  t.after(() => transport.close())
  const client = new KubeClient(transport)
  const spec = {
    runtimeRef: { name: 'hello', uid: 'uid' },
    endpoint: 'DEFAULT',
    sessionId: 's'.repeat(40),
    owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' },
    incarnation: 1,
    stopThrough: 0,
  }
  const made = await client.create(AGENT_SESSIONS, {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name: 'hello-1', namespace: 'team' },
    spec,
  })
  await client.replace(AGENT_SESSIONS, { ...made, status: { incarnation: 1, phase: 'Running', podUID: 'p' } }, 'status')
  const { url, seen } = await gateway(t, [{ namespace: 'team', session: 'hello-1', podUID: 'p', state: 'active' }])

  const child = spawn(process.execPath, [LAUNCHER, 'sessions', '--watch', '--gateway', url], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const ended = once(child, 'exit')
  await eventually(() => out.includes('Active'), { withinMs: 20_000, because: `the session is shown (${out})` })
  assert.match(out, /^NAMESPACE\tSESSION.*\nteam\ts{40}\thello\tann\tRunning\tActive\t/)
  assert.equal(seen[0], `/carrel/v1/namespaces/team/activity Bearer ${TOKEN}`)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})

test('a log is followed as it is written, until it ends', async (t) => {
  const transport = httpTransport({ server: server.url, ca: server.ca, token: () => TOKEN })
  t.after(() => transport.close())
  const client = new KubeClient(transport)
  const at = { namespace: 'team' }
  const spec = { nodeName: 'node-1', containers: [{ name: 'agent', image: 'x' }] }
  await client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { ...at, name: 'spoken-1' }, spec })
  const session = {
    runtimeRef: { name: 'hello', uid: 'uid' },
    endpoint: 'DEFAULT',
    sessionId: 'l'.repeat(40),
    owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' },
    incarnation: 1,
    stopThrough: 0,
  }
  const kind = { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession' }
  const made = await client.create(AGENT_SESSIONS, { ...kind, metadata: { ...at, name: 'spoken' }, spec: session })
  await client.replace(
    AGENT_SESSIONS,
    { ...made, status: { incarnation: 1, phase: 'Running', podUID: 'p', podName: 'spoken-1' } },
    'status',
  )

  assert.deepEqual(await carrel(['logs', 'l'.repeat(40)]), { code: 0, out: 'first\n', notes: '' })
  const child = spawn(process.execPath, [COMMAND, 'logs', 'spoken', '-f'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const ended = once(child, 'exit')
  await eventually(() => out === 'first\n', { withinMs: 20_000, because: `the first line is shown (${out})` })
  agentLog.emit('line', 'second')
  await eventually(() => out === 'first\nsecond\n', { withinMs: 20_000, because: `the second line is shown (${out})` })
  agentLog.emit('end')
  assert.deepEqual(await ended, [0, null])
})

test('an answer is shown while it streams, and one that breaks off is a failure', async (t) => {
  const talk = new EventEmitter()
  const listening = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n')
    talk.once('more', () => response.write('data: 2\n'))
    talk.once('break', () => response.destroy())
  })
  await once(listening.listen(0, '127.0.0.1'), 'listening')
  t.after(() => listening.close())
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  const arn = 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/hello-abcdefghij'
  const child = spawn(process.execPath, [COMMAND, 'invoke', arn, '--url', url], {
    env: { PATH: process.env['PATH']!, HOME: folder, AWS_ACCESS_KEY_ID: 'K', AWS_SECRET_ACCESS_KEY: 'S' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const said = { out: '', notes: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.notes += chunk.toString()))
  const ended = once(child, 'exit')
  await eventually(() => said.out === 'data: 1\n', { withinMs: 20_000, because: `the first part is shown (${said.notes})` })
  talk.emit('more')
  await eventually(() => said.out === 'data: 1\ndata: 2\n', { withinMs: 20_000, because: 'the second part is shown' })
  talk.emit('break')
  assert.deepEqual(await ended, [1, null])
  assert.match(said.notes, /^session carrel-[0-9a-f-]{36}\ncarrel: the answer broke off/)
})
