/** Alone: a cluster of its own is upgraded under load, and calls are judged by whether they fail. */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { after, test, type TestContext } from 'node:test'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { PODS } from '../../src/kube/resource.ts'
import { Cluster } from '../cluster/cluster.ts'
import { imageArchive, referenceOf } from '../cluster/images/archives.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { RawGateway, newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { CHART, SYSTEM, helm } from './helm.ts'
import { DEPLOYMENT, kindOf } from './installed.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** As the example names it. */
const EXAMPLE_IMAGE = 'docker.io/library/carrel-example-hello:0.1.0'
/** What a cluster without Kata and without volumes needs; the rest is as it comes. */
const VALUES = { runtimeClasses: { default: 'carrel-runc' }, redis: { persistence: { enabled: false } } }
const SESSIONS = 10
const CALLS_PER_SECOND = 20
const UNINSTALL_WITHIN_MS = 60_000
const MINUTE_MS = 60_000

interface Live {
  cluster: Cluster
  client: KubeClient
  env: NodeJS.ProcessEnv
  notes: string
}

let opened: Promise<Live> | undefined
const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing) await close()
})

async function live(t: TestContext): Promise<Live | undefined> {
  const rings = ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_NODE', 'CARREL_TEST_IMAGES', 'CARREL_TEST_KUBECTL', 'CARREL_TEST_HELM'] as const
  if (!needsRoot(t) || !rings.every((ring) => needs(t, ring))) return undefined
  return (opened ??= install())
}

async function install(): Promise<Live> {
  const cluster = await Cluster.start({ images: [imageArchive('carrel', 'redis', 'hello')] })
  closing.unshift(() => cluster.stop())
  await cluster.nameImage(referenceOf('hello'), EXAMPLE_IMAGE)
  const notes = helmDone(cluster, ['install', 'carrel', CHART, '--create-namespace', '--wait', '--timeout', '4m'], VALUES)
  const transport = httpTransport(cluster.access)
  closing.unshift(() => transport.close())
  const path = `${join(process.env['CARREL_TEST_KUBECTL']!, '..')}:${process.env['PATH']}`
  return { cluster, notes, client: new KubeClient(transport), env: { ...process.env, PATH: path, KUBECONFIG: cluster.kubeconfig } }
}

function helmDone({ kubeconfig }: Cluster, parameters: string[], values: object): string {
  const { status, stdout, stderr } = helm(parameters, { kubeconfig, values })
  assert.equal(status, 0, stdout + stderr)
  return stdout
}

/** Without holding up what else this process does. */
async function helmBeside({ env }: Live, parameters: string[]): Promise<void> {
  const command = [...parameters, '--namespace', SYSTEM]
  const { code, said } = await ended(spawn(process.env['CARREL_TEST_HELM']!, command, { env, stdio: ['ignore', 'pipe', 'pipe'] }))
  assert.equal(code, 0, said)
}

test('three commands to the first answer: helm install, kubectl apply, and what the notes print', async (t) => {
  const here = await live(t)
  if (!here) return
  assert.match(here.notes, /WARNING: sessions are ordinary containers/)
  const commands = here.notes.split('\n').filter((line) => /^ {2}(kubectl apply|\(kubectl port-forward|eval|npx)/.test(line))
  assert.equal(commands.length, 4, here.notes)
  // The port of the notes may be another's on this machine.
  const port = await freePort()
  const script = commands.join('\n').replace('carrel-gateway 8700', `carrel-gateway ${port}:8700`)
  const shell = await ended(
    spawn('bash', ['-ec', script], {
      cwd: ROOT,
      env: { ...here.env, AWS_ENDPOINT_URL_BEDROCK_AGENTCORE: `http://127.0.0.1:${port}` },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  assert.equal(shell.code, 0, `${shell.said}\n${here.notes}`)
  assert.match(shell.said, /Ada/)
})

/** When the command itself is over; of a shell, what it left in the background is ended then, too. */
async function ended(child: ChildProcess): Promise<{ code: number | null; said: string }> {
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text: Buffer) => (said += text.toString()))
  const closed = new Promise((resolve) => child.once('close', resolve))
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  if (child.spawnargs[0] === 'bash') endGroup(child.pid!)
  await closed
  return { code, said }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** What a caller sees: AWS' SDKs try a call three times when it was throttled or the connection broke. */
const ATTEMPTS = 3

interface Load {
  calls: number
  retried: string[]
  failed: string[]
}

/** Calls of ten sessions, twenty a second, until `work` is done. */
async function underLoad(here: Live, work: () => Promise<void>): Promise<Load> {
  const { gateway, arn, sessions } = await caller(here)
  const retried: string[] = []
  const failed: string[] = []
  const calls: Promise<void>[] = []
  let isOver = false
  const startedAtMs = performance.now()
  const call = async (sessionId: string): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      const why = await attemptOf(gateway, arn, sessionId)
      if (why === undefined) return
      const said = `after ${Math.round(performance.now() - startedAtMs)} ms: ${why}`
      if (attempt === ATTEMPTS) return void failed.push(said)
      retried.push(said)
      await wait(500 * attempt)
    }
  }
  const calling = (async () => {
    for (let index = 0; !isOver; index += 1) {
      calls.push(call(sessions[index % SESSIONS]!))
      await wait(1_000 / CALLS_PER_SECOND)
    }
  })()
  try {
    await work()
  } finally {
    isOver = true
    await calling
    await Promise.all(calls)
    gateway.close()
  }
  return { calls: calls.length, retried, failed }
}

/** Undefined when it was answered. */
async function attemptOf(gateway: RawGateway, arn: string, sessionId: string): Promise<string | undefined> {
  try {
    const { status, body } = await gateway.invoke(arn, sessionId, { name: 'Ada' })
    return status === 200 ? undefined : `${status} ${body}`
  } catch (error) {
    return String(error)
  }
}

let called: Promise<{ gateway: RawGateway; arn: string; sessions: string[] }> | undefined

/** By a key of first-caller, through the port of the node. */
function caller(here: Live): Promise<{ gateway: RawGateway; arn: string; sessions: string[] }> {
  return (called ??= openSessions(here))
}

async function openSessions({ cluster, client, env }: Live): Promise<{ gateway: RawGateway; arn: string; sessions: string[] }> {
  const made = spawnSync(process.execPath, ['bin/carrel.js', 'keys', 'create', '--user', 'first-caller', '-o', 'json'], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
  })
  assert.equal(made.status, 0, made.stderr)
  const key = JSON.parse(made.stdout) as { accessKeyId: string; secretAccessKey: string }
  const { spec } = await client.get(kindOf('', 'v1', 'Service', 'services'), SYSTEM, 'carrel-gateway')
  const gateway = new RawGateway(`http://${spec['clusterIP']}:8700`, { ...key, region: 'us-east-1' })
  const { status } = await client.get(AGENT_RUNTIMES, 'agents', 'hello')
  const arn = status!.agentRuntimeArn!
  const sessions = Array.from({ length: SESSIONS }, newSessionId)
  const answers: RawAnswer[] = []
  // One after the other: ten containers at once are a machine's work for a while.
  for (const sessionId of sessions) {
    const answer = await eventually(
      async () => {
        const tried = await gateway.invoke(arn, sessionId, { name: 'Ada' })
        if (tried.status !== 200) throw new Error(`${tried.status} ${tried.body}`)
        return tried
      },
      { withinMs: MINUTE_MS, because: `a first answer of the session, at ${cluster.nodeAddress}` },
    )
    answers.push(answer)
  }
  assert.equal(answers.length, SESSIONS)
  return { gateway, arn, sessions }
}

async function podsOf({ client }: Live): Promise<string[]> {
  const { items } = await client.list(AGENT_SESSIONS, { namespace: 'agents' })
  return items.map(({ metadata, status }) => `${metadata.name} ${status?.podUID} ${status?.phase}`).toSorted()
}

/** Which of them it is, and how often it was started. */
async function redisOf({ client }: Live): Promise<unknown> {
  const { metadata, status } = await client.get(PODS, SYSTEM, 'carrel-redis-0')
  return [metadata.uid, status?.containerStatuses?.map((container) => (container as { restartCount?: number }).restartCount)]
}

const drainSecondsOf = async ({ client }: Live): Promise<string> => {
  const { spec } = await client.get(DEPLOYMENT, SYSTEM, 'carrel-gateway')
  return spec.template.spec.containers[0].env.find(({ name }: { name: string }) => name === 'CARREL_DRAIN_SECONDS').value
}

const CHANGES: [what: string, parameters: string[], drainSeconds: string][] = [
  [
    'an upgrade that makes operators and gateways anew',
    [
      'upgrade',
      'carrel',
      CHART,
      '--reuse-values',
      '--set',
      'gateway.drainSeconds=20,operator.sessionTtlSeconds=900',
      '--wait',
      '--timeout',
      '4m',
    ],
    '20',
  ],
  ['a rollback', ['rollback', 'carrel', '--wait', '--timeout', '4m'], '30'],
]
for (const [what, parameters, drainSeconds] of CHANGES) {
  test(`${what}, under ${CALLS_PER_SECOND} calls a second on ${SESSIONS} live sessions: no call fails, and every session keeps its pod`, async (t) => {
    const here = await live(t)
    if (!here) return
    await caller(here)
    await eventually(async () => (await podsOf(here)).every((line) => line.endsWith('Running')), {
      withinMs: MINUTE_MS,
      because: 'all run',
    })
    const before = [await podsOf(here), await redisOf(here)]
    const { calls, retried, failed } = await underLoad(here, () => helmBeside(here, parameters))
    t.diagnostic(`${calls} calls, ${retried.length} attempts that were retried: ${[...new Set(retried)].slice(0, 5).join('; ')}`)
    assert.deepEqual(failed, [])
    assert.deepEqual([await podsOf(here), await redisOf(here)], before)
    assert.ok(calls >= SESSIONS)
    assert.equal(await drainSecondsOf(here), drainSeconds)
  })
}

test('an uninstall with live sessions ends within a minute, and leaves neither pods nor records that are stuck', async (t) => {
  const here = await live(t)
  if (!here) return
  await caller(here)
  assert.ok((await podsOf(here)).length >= SESSIONS)
  const startedAtMs = performance.now()
  await helmBeside(here, ['uninstall', 'carrel'])
  const tookMs = performance.now() - startedAtMs
  t.diagnostic(`${Math.round(tookMs / 1000)} s`)
  assert.ok(tookMs < UNINSTALL_WITHIN_MS, `it took ${tookMs} ms`)
  const { client } = here
  assert.deepEqual(await podsOf(here), [])
  assert.deepEqual((await client.list(PODS, { namespace: 'agents' })).items, [])
  await client.get(AGENT_RUNTIMES, 'agents', 'hello')
  await eventually(async () => (await client.list(PODS, { namespace: SYSTEM })).items.length === 0, {
    withinMs: MINUTE_MS,
    because: 'Carrel’s own pods are gone',
  })
  const meterKeys = (await client.list(kindOf('', 'v1', 'Secret', 'secrets'), { namespace: 'agents' })).items
  assert.deepEqual(meterKeys, [])
})
