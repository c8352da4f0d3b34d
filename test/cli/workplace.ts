/** A place to run commands at, in this process: the embedded API, a screen that remembers, a clock that is moved by hand. */
import type { CliEnv, Cluster, PodLogRequest } from '../../src/cli/env.ts'
import { CommandFailure } from '../../src/cli/failure.ts'
import { runCli } from '../../src/cli/program.ts'
import { AGENT_SESSIONS, RUNTIME_LABEL, type AgentSession, type AgentSessionStatus } from '../../src/crds/agent-session.ts'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import { KubeClient } from '../../src/kube/client.ts'
import type { Pod } from '../../src/kube/objects.ts'
import { PODS } from '../../src/kube/resource.ts'
import { ApiError } from '../../src/kube/errors.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { Identity, LogOptions, PodLogs } from '../../src/local/api/call.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'

const ROOT: Identity = { user: 'root', groups: ['system:masters', 'system:authenticated'], allows: () => true }
const NOBODY: Identity = { user: 'nobody', groups: ['system:authenticated'], allows: () => false }
/** Wall time at which each begins. */
export const BEGIN_MS = Date.UTC(2026, 10, 24, 8)

export interface Ran {
  code: number
  out: string
  notes: string
}

export class Workplace {
  readonly clock: VirtualClock
  readonly client: KubeClient
  readonly kubernetes: Transport
  readonly #api: EmbeddedApi
  readonly #random = seededRandom('keys')
  /** What is asked before each request of a command. */
  before: (method: string, path: string) => Promise<void> | void = () => {}
  namespace = 'default'
  token: string | undefined = 'a-token'
  variables: Record<string, string> = {}
  /** URL → answer; what is not here does not answer. */
  readonly gateway = new Map<string, unknown>()
  readonly asked: { url: string; token: string }[] = []
  readonly posted: { url: string; headers: Record<string, string>; body: string }[] = []
  /** What a POST is answered. */
  answers: CliEnv['post'] = async () => {
    throw new CommandFailure('does not answer')
  }
  standardInput = ''
  /** Pod name → its log, which is over unless `isOpen`. */
  readonly logs: Map<string, { parts: string[]; isOpen?: boolean }>
  terminal: { columns: number; rows: number } | undefined
  readonly drawn: (readonly string[])[] = []
  readonly enough = new AbortController()

  private constructor(api: EmbeddedApi, clock: VirtualClock, logs: Workplace['logs']) {
    this.#api = api
    this.logs = logs
    this.clock = clock
    this.kubernetes = inProcessTransport(api, ROOT)
    this.client = new KubeClient(this.kubernetes)
  }

  static async start(): Promise<Workplace> {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const clock = new VirtualClock(seededRandom('clock'))
    await clock.run(BEGIN_MS - clock.now())
    const env = { clock, random: seededRandom('api'), log }
    const logs: Workplace['logs'] = new Map()
    const read: PodLogs['read'] = (pod, container, options, signal) => readKept(logs, pod.metadata.name, container, options, signal)
    const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: { read } })
    await api.start()
    return new Workplace(api, clock, logs)
  }

  async advance(ms: number): Promise<void> {
    await this.clock.run(this.clock.monotonic() + ms)
  }

  /** Splits at spaces: no argument here has any but those of `more`. */
  async run(line: string, ...more: string[]): Promise<Ran> {
    return this.runAs(ROOT, line, ...more)
  }

  async runAsNobody(line: string): Promise<Ran> {
    return this.runAs(NOBODY, line)
  }

  async runAs(identity: Identity, line: string, ...more: string[]): Promise<Ran> {
    const out: string[] = []
    const notes: string[] = []
    const code = await runCli([...line.split(' ').filter(Boolean), ...more], '9.9.9', this.#env(identity, out, notes))
    return { code, out: out.join('\n'), notes: notes.join('\n') }
  }

  #env(identity: Identity, out: string[], notes: string[]): CliEnv {
    const transport = inProcessTransport(this.#api, identity)
    const kubernetes: Transport = {
      request: async (request) => {
        await this.before(request.method, request.path)
        return transport.request(request)
      },
      watch: (request) => transport.watch(request),
    }
    const log: Cluster['log'] = (request) => logThrough(this.#api, identity, request)
    const cluster: Cluster = { kubernetes, log, namespace: this.namespace, token: this.token }
    return {
      clock: this.clock,
      random: this.#random,
      screen: {
        colour: false,
        terminal: this.terminal,
        out: (text) => void out.push(text),
        stream: (part) => void out.push(typeof part === 'string' ? part : Buffer.from(part).toString('utf8')),
        note: (text) => void notes.push(text),
        draw: (lines) => void this.drawn.push(lines),
        endDrawing: () => {},
      },
      cluster: () => cluster,
      fetchJson: async (url, token) => {
        this.asked.push({ url, token })
        const answer = this.gateway.get(url)
        if (answer === undefined) throw new CommandFailure('does not answer (refused)')
        return answer
      },
      post: async (url, request) => {
        this.posted.push({ url: url.href, headers: request.headers, body: Buffer.from(request.body).toString('utf8') })
        return this.answers(url, request)
      },
      input: async () => Buffer.from(this.standardInput),
      variables: this.variables,
      enough: () => this.enough.signal,
    }
  }

  /** A pod that runs on a node. `status` replaces parts of what kubelet says. */
  async pod(name: string, status: object = {}): Promise<Pod> {
    const made = await this.client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: this.namespace },
      spec: { nodeName: 'node-1', containers: [{ name: 'agent', image: 'registry.example/agent:1' }] },
    })
    const containerStatuses = [{ name: 'agent', state: { running: { startedAt: '2026-11-24T07:59:01Z' } } }]
    return this.client.replace(
      PODS,
      { ...made, status: { phase: 'Running', podIP: '10.0.0.7', containerStatuses, ...status } as Pod['status'] },
      'status',
    )
  }

  async session(name: string, spec: Partial<AgentSession['spec']> = {}, status?: AgentSessionStatus): Promise<AgentSession> {
    const runtime = spec.runtimeRef?.name ?? 'hello'
    const made = await this.client.create(AGENT_SESSIONS, {
      apiVersion: 'carrel.dev/v1alpha1',
      kind: 'AgentSession',
      metadata: { name, namespace: this.namespace, labels: { [RUNTIME_LABEL]: runtime } },
      spec: {
        runtimeRef: { name: runtime, uid: 'uid' },
        endpoint: 'DEFAULT',
        sessionId: `${name}-${'0'.repeat(33)}`,
        owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' },
        incarnation: 1,
        stopThrough: 0,
        ...spec,
      },
    })
    return status === undefined ? made : this.client.replace(AGENT_SESSIONS, { ...made, status }, 'status')
  }
}

/** What an incarnation used, all of it measured. */
export function usage(cpuSeconds: string, memoryPeakGBSeconds: string, memoryInUseGBSeconds: string, incarnation = 1) {
  return {
    incarnation,
    sequence: 7,
    final: false,
    cpuSeconds,
    memoryPeakGBSeconds,
    memoryInUseGBSeconds,
    measuredSeconds: '60.000',
    updatedAt: '2026-11-24T07:59:30Z',
  }
}

/** As `readPodLog` does it over HTTP. */
async function* logThrough(api: EmbeddedApi, identity: Identity, request: PodLogRequest): AsyncGenerator<Uint8Array> {
  const { namespace, pod, query, signal } = request
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log`
  const answer = await api.handle({ identity, method: 'GET', path, query: new URLSearchParams(query), signal })
  if ('text' in answer) return yield* answer.text
  const body = 'body' in answer ? answer.body : undefined
  throw ApiError.from({ status: answer.status, headers: {}, body }, `read the log of pod ${pod}`)
}

async function* readKept(
  logs: Workplace['logs'],
  pod: string,
  container: string,
  options: LogOptions,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { parts = [], isOpen = false } = (container === 'agent' && logs.get(pod)) || {}
  const lines = parts.join('').split('\n').slice(0, -1)
  const wanted = options.tailLines === undefined ? parts : lines.slice(-options.tailLines).map((line) => `${line}\n`)
  for (const part of wanted) yield Buffer.from(part)
  if (options.follow && isOpen && signal && !signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  }
}
