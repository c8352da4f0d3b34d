/** Parts for tests of an installation with several replicas: gateways of a test's own, open streams, the history of sessions. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { reflect } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { Report } from '../../src/telemetry/parent.ts'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { RawGateway, SESSION_HEADER, invocationPath } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

const GATEWAY = join(import.meta.dirname, '..', '..', 'src', 'gateway', 'main.ts')
const READY_WITHIN_MS = 30_000

/** An installation with replicas, whatever place the runner chose. */
export async function replicated(t: TestContext): Promise<LocalInstallation | undefined> {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_REDIS')) return undefined
  return LocalInstallation.start(t, { place: 'replicas' })
}

/** What `<home>/replicas.json` says: the processes that the installation itself runs. */
export interface Replicas {
  operators: { name: string; pid?: number }[]
  gateways: { name: string; pid?: number; port?: number }[]
}

export function replicasOf(installation: LocalInstallation): Replicas {
  return JSON.parse(readFileSync(join(installation.home, 'replicas.json'), 'utf8')) as Replicas
}

/** The installation's own gateways, each by itself, past the balancer. */
export function gatewaysOf(t: TestContext, installation: LocalInstallation): RawGateway[] {
  return replicasOf(installation).gateways.map(({ port }) => rawGateway(t, installation, port!))
}

/** One more gateway of an installation, which nobody starts again. */
export class ExtraGateway {
  readonly raw: RawGateway
  readonly pid: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, raw: RawGateway) {
    this.#child = child
    this.pid = child.pid!
    this.raw = raw
  }

  /** Resolves when it serves. `redis`: its way to the store. Killed when the test ends; its log is in the installation's home. */
  static async start(
    t: TestContext,
    installation: LocalInstallation,
    { name, redis }: { name: string; redis: string },
  ): Promise<ExtraGateway> {
    const { home } = installation
    const flags = ['--kubeconfig', installation.kubeconfigOf('gateway'), '--host', '127.0.0.1', '--port', '0']
    const log = openSync(join(home, 'logs', `${name}.log`), 'a', 0o600)
    const child = spawn(process.execPath, [GATEWAY, ...flags, '--proof', 'none', '--spool-directory', home, '--drain-seconds', '0'], {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, CARREL_REDIS: redis },
    })
    closeSync(log)
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    const reports: Report[] = []
    child.on('message', (report: Report) => reports.push(report))
    await eventually(() => reports.some((report) => 'ready' in report), { withinMs: READY_WITHIN_MS, because: `${name} serves` })
    const { listening } = reports.find((report) => 'listening' in report)!
    return new ExtraGateway(child, rawGateway(t, installation, listening))
  }

  pause(): Promise<void> {
    return paused(this.pid)
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** As a machine that lost its power. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** Stops a process until SIGCONT. Resolves when none of its threads runs any more: on a busy machine that takes a moment. */
export async function paused(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const threads = `/proc/${pid}/task`
  const stands = (thread: string): boolean => / T /.test(readFileSync(join(threads, thread, 'stat'), 'utf8').replace(/\(.*\)/, ''))
  await eventually(() => readdirSync(threads).every(stands), { withinMs: 10_000, everyMs: 10, because: `process ${pid} stands still` })
}

function rawGateway(t: TestContext, installation: LocalInstallation, port: number): RawGateway {
  const { env } = installation
  const raw = new RawGateway(`http://127.0.0.1:${port}`, {
    accessKeyId: env['AWS_ACCESS_KEY_ID']!,
    secretAccessKey: env['AWS_SECRET_ACCESS_KEY']!,
    region: env['AWS_REGION']!,
  })
  t.after(() => raw.close())
  return raw
}

export interface Stream {
  /** Resolves with the first chunk. */
  begun: Promise<void>
  /** What arrived, when the answer is over; times are this process's `performance.now()`. */
  ended: Promise<{ chunks: number; isWhole: boolean; atMs: number }>
}

/** An answer of so many chunks, read as they come. */
export async function openStream(
  gateway: RawGateway,
  arn: string,
  sessionId: string,
  order: { chunks: number; everyMs: number },
): Promise<Stream> {
  const request = {
    path: invocationPath(arn),
    headers: { 'content-type': 'application/json', [SESSION_HEADER]: sessionId },
    body: JSON.stringify({ do: 'dribble', ...order }),
  }
  const headers = await gateway.sign(request)
  const head = Object.entries({ ...headers, 'content-length': String(request.body.length), connection: 'close' })
  const socket = gateway.open()
  socket.write(`POST ${request.path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${request.body}`)
  let text = ''
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<{ chunks: number; isWhole: boolean; atMs: number }>()
  const finish = (): void => {
    const chunks = text.match(/^data: \d+$/gm)?.length ?? 0
    ended.resolve({ chunks, isWhole: text.startsWith('HTTP/1.1 200') && text.endsWith('\r\n0\r\n\r\n'), atMs: performance.now() })
    begun.reject(new Error(`the stream ended before its first chunk: ${JSON.stringify(text.slice(0, 400))}`))
  }
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (/^data: 1$/m.test(text)) begun.resolve()
    if (text.endsWith('\r\n0\r\n\r\n')) finish()
  })
  socket.on('error', finish)
  socket.on('close', finish)
  begun.promise.catch(() => {}) // whoever waits for it hears of it
  return { begun: begun.promise, ended: ended.promise }
}

/** One entry for each phase that a session was seen in, on this process's `performance.now()`. */
export interface Moment {
  phase: string
  podUID: string | undefined
  reason: string | undefined
  atMs: number
}

/** Follows all sessions of an installation by a watch of its own, so that a moment is known as it happens. */
export class Histories {
  readonly #moments = new Map<string, Moment[]>()

  /** Resolves when it has begun; ends with the test. */
  static async follow(t: TestContext, installation: LocalInstallation): Promise<Histories> {
    const histories = new Histories()
    const transport = httpTransport(loadCluster({ kubeconfig: installation.kubeconfigOf('admin') }))
    const silent = { debug() {}, info() {}, warn() {}, error() {} }
    const env = { clock: systemClock, random: systemRandom, log: silent }
    const store = new Store<AgentSession>()
    store.subscribe(({ type, object }) => histories.#note(object, type === 'deleted' ? 'Deleted' : (object.status?.phase ?? 'New')))
    const end = new AbortController()
    const following = reflect({ env, transport, resource: AGENT_SESSIONS, store }, end.signal)
    t.after(async () => {
      end.abort()
      await following
      await transport.close()
    })
    await store.synced
    return histories
  }

  of(sessionId: string): readonly Moment[] {
    return this.#moments.get(sessionId) ?? []
  }

  /** Where the session's first end is seen, by whichever write told of it first. */
  endOf(sessionId: string): Moment | undefined {
    return this.of(sessionId).find(({ phase }) => phase === 'Terminating' || phase === 'Terminated' || phase === 'Deleted')
  }

  untilPhase(sessionId: string, phase: string, withinMs: number): Promise<Moment> {
    const ask = (): Moment | undefined => this.of(sessionId).find((moment) => moment.phase === phase)
    return eventually(ask, { withinMs, everyMs: 20, because: `session ${sessionId} is ${phase}` })
  }

  untilEnd(sessionId: string, withinMs: number): Promise<Moment> {
    return eventually(() => this.endOf(sessionId), { withinMs, everyMs: 20, because: `session ${sessionId} ends` })
  }

  #note({ spec, status }: AgentSession, phase: string): void {
    const moments = this.#moments.get(spec.sessionId) ?? []
    this.#moments.set(spec.sessionId, moments)
    const moment = { phase, podUID: status?.podUID, reason: status?.endReason, atMs: performance.now() }
    const last = moments.at(-1)
    if (last?.phase !== moment.phase || last.podUID !== moment.podUID) moments.push(moment)
  }
}
