import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { eventually } from './eventually.ts'
import { ApiAccess } from './api-access.ts'
import type { Place } from '../../scripts/places.ts'
import { PLACE } from './place.ts'
import { lendPlane, type LentPlane } from './planes.ts'
import { RawGateway } from './raw-gateway.ts'
import { lendRedis, type LentRedis } from './redises.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const START_WITHIN_MS = 30_000
const run = promisify(execFile)

export interface InstallationOptions {
  args?: string[]
  /** Default: the place that the runner chose. */
  place?: Place
  /** What the place needs; `start` lends them. */
  surroundings?: Surroundings
  home?: string
  /** Apply the example and make the first call, as users get it. Default false. */
  hello?: boolean
  /** Replaces the command that starts it. */
  command?: string[]
  cwd?: string
  /** Added to this process's own. */
  environment?: Record<string, string>
  /** Instead of this process's own. */
  wholeEnvironment?: NodeJS.ProcessEnv
}

/** What an installation is joined to, and survives it. */
export interface Surroundings {
  plane?: LentPlane
  redis?: LentRedis
}

/** A running installation, as a user would have it: started by the launcher, spoken to over its ports and files. */
export class Installation {
  readonly home: string
  readonly api: ApiAccess
  readonly gateway: RawGateway
  /** What `source <home>/env` exports. */
  readonly env: Record<string, string>
  readonly child: ChildProcess
  readonly #options: InstallationOptions
  readonly #output: string[]

  private constructor(options: InstallationOptions, home: string, child: ChildProcess, output: string[]) {
    this.#options = options
    this.home = home
    this.child = child
    this.#output = output
    this.env = exportsOf(join(home, 'env'))
    this.api = new ApiAccess(this.env['KUBECONFIG']!)
    this.gateway = new RawGateway(this.env['CARREL_GATEWAY_URL']!, {
      accessKeyId: this.env['AWS_ACCESS_KEY_ID']!,
      secretAccessKey: this.env['AWS_SECRET_ACCESS_KEY']!,
      region: this.env['AWS_REGION']!,
    })
  }

  /** Stopped, and its folder removed, when the test ends. */
  static async start(t: TestContext, options: InstallationOptions = {}): Promise<Installation> {
    const home = options.home ?? mkdtempSync(join(tmpdir(), 'carrel-home-'))
    const surroundings = options.surroundings ?? (await lend(options.place ?? PLACE))
    const installation = await Installation.launch({ ...options, home, surroundings })
    t.after(async () => {
      await installation.stop()
      if (options.surroundings === undefined) await giveBack(surroundings)
      if (options.home === undefined) rmSync(home, { recursive: true, force: true })
    })
    return installation
  }

  /** Without a test's clean-up: the caller stops it. */
  static async launch(options: InstallationOptions & { home: string }): Promise<Installation> {
    const { home, hello = false, args = [], surroundings = {} } = options
    const { plane, redis } = surroundings
    const joined = [
      ...(plane ? ['--kubeconfig', copyFor(home, plane.plane.kubeconfig)] : []),
      ...(redis ? ['--replicas', '2', '--redis', redis.server.url] : []),
    ]
    const [program, ...before] = options.command ?? [process.execPath, join(ROOT, 'bin', 'start.js')]
    const parameters = [...before, '--port', '0', '--api-port', '0', '--home', home, ...(hello ? [] : ['--no-hello']), ...joined, ...args]
    const environment = { ...(options.wholeEnvironment ?? process.env), ...options.environment }
    const child = spawn(program!, parameters, {
      cwd: options.cwd ?? ROOT,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const output: string[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString('utf8')))
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString('utf8')))
    try {
      await Installation.#untilStarted(child, output)
      return new Installation(options, home, child, output)
    } catch (error) {
      if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL')
      throw error
    }
  }

  static async #untilStarted(child: ChildProcess, output: string[]): Promise<void> {
    const died = new Promise<never>((_, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`it exited with ${signal ?? code}: ${output.join('')}`)))
    })
    died.catch(() => {}) // it ends one day, long after this
    const says = eventually(() => output.join('').includes('Ctrl-C stops everything'), {
      withinMs: START_WITHIN_MS,
      because: 'the installation says that it has started',
    })
    await Promise.race([says, died])
  }

  get output(): string {
    return this.#output.join('')
  }

  /** The same folder, a new process. */
  restart(): Promise<Installation> {
    return Installation.launch({ ...this.#options, home: this.home })
  }

  /** Ctrl-C, which a terminal sends to the whole group, and waits for the end. Answers how long it took, in ms. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number> {
    const startedAt = performance.now()
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = new Promise((resolve) => this.child.once('exit', resolve))
      process.kill(-this.child.pid!, signal) // as a terminal does: to the whole group, npm and its shell included
      await exited
    }
    this.gateway.close()
    await this.api.close()
    return performance.now() - startedAt
  }

  /** kill -9 of the process that holds everything, not of its launcher. */
  async killHard(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once('exit', resolve))
    process.kill(this.#pid(), 'SIGKILL')
    await exited
  }

  client(): BedrockAgentCoreClient {
    return new BedrockAgentCoreClient({
      region: this.env['AWS_REGION']!,
      endpoint: this.env['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE']!,
      credentials: { accessKeyId: this.env['AWS_ACCESS_KEY_ID']!, secretAccessKey: this.env['AWS_SECRET_ACCESS_KEY']! },
      maxAttempts: 1,
    })
  }

  /** Applies the manifest and waits until it can be called. Answers its ARN. */
  async apply(manifest: AgentRuntime): Promise<string> {
    const path = `/apis/carrel.dev/v1alpha1/namespaces/${manifest.metadata.namespace}/agentruntimes`
    const created = await this.api.call('POST', path, manifest)
    if (created.status !== 201) throw new Error(`apply: ${JSON.stringify(created.body)}`)
    const ready = await eventually(
      async () => {
        const { body } = await this.api.call<AgentRuntime>('GET', `${path}/${manifest.metadata.name}`)
        return body.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') && body
      },
      { withinMs: 15_000, because: `runtime ${manifest.metadata.name} is ready` },
    )
    return ready.status!.agentRuntimeArn!
  }

  async sessions(): Promise<AgentSession[]> {
    return (await this.api.call<{ items: AgentSession[] }>('GET', '/apis/carrel.dev/v1alpha1/agentsessions')).body.items
  }

  async session(sessionId: string): Promise<AgentSession | undefined> {
    return (await this.sessions()).find(({ spec }) => spec.sessionId === sessionId)
  }

  /** Where the session's agent listens. */
  async addressOf(sessionId: string): Promise<string> {
    const session = await this.session(sessionId)
    const { body } = await this.api.call<{ status: { podIP: string } }>(
      'GET',
      `/api/v1/namespaces/default/pods/${session?.status?.podName}`,
    )
    return body.status.podIP
  }

  /** Path of the kubeconfig of a part, or of the administrator. */
  kubeconfigOf(identity: 'admin' | 'operator' | 'gateway' | 'kubelet'): string {
    return identity === 'admin' ? this.env['KUBECONFIG']! : join(this.home, `${identity}.kubeconfig`)
  }

  /** The processes that gateways are in. */
  gatewayPids(): number[] {
    const replicas = join(this.home, 'replicas.json')
    if (!existsSync(replicas)) return [this.#pid()]
    const { gateways } = JSON.parse(readFileSync(replicas, 'utf8')) as { gateways: { pid: number }[] }
    return gateways.map(({ pid }) => pid)
  }

  /** Of the process that holds everything, not of its launcher. */
  #pid(): number {
    return Number(readFileSync(join(this.home, 'lock'), 'utf8').split(' ')[0])
  }

  /** Every line that a gateway has logged. */
  gatewayLog(): string[] {
    const logs = join(this.home, 'logs')
    const files = readdirSync(logs).filter((file) => /^(carrel|gateway-\d+)\.log$/.test(file))
    return files.flatMap((file) =>
      readFileSync(join(logs, file), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    )
  }

  /** The Redis of its replicas. */
  redisUrl(): string {
    return this.#options.surroundings!.redis!.server.url
  }

  auditFile(): string {
    const { plane } = this.#options.surroundings ?? {}
    return plane ? join(plane.plane.directory, 'audit.log') : join(this.home, 'audit.log')
  }

  /** Lines of the API server's audit log. */
  audit(): AuditLine[] {
    const { plane } = this.#options.surroundings ?? {}
    if (plane) return plane.audit()
    const text = readFileSync(this.auditFile(), 'utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditLine)
  }

  /** How many pods were made, by the audit log. */
  podCreates(): number {
    return this.audit().filter(
      ({ verb, objectRef, responseStatus }) =>
        verb === 'create' && objectRef?.resource === 'pods' && !objectRef.subresource && responseStatus.code === 201,
    ).length
  }

  /** pids of this installation's agents, by the marker in their environment. */
  agents(podUID?: string): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const environment = readEnvironment(pid)
        const ofHome = environment.some((entry) => entry.startsWith('CARREL_POD_HOME=') && entry.includes(this.home))
        return ofHome && (podUID === undefined || environment.includes(`CARREL_POD_UID=${podUID}`))
      })
  }

  /** Everything that a session could leave behind: objects, processes, files; not events, logs of Carrel, audit, resourceVersion. */
  async remains(): Promise<string[]> {
    const objects = await this.api.everyObject(['events', 'nodes'])
    const processes = this.agents().map((pid) => `process ${pid}`)
    const ignored =
      /^(audit\.log|logs\/(carrel|operator-\d|gateway-\d)\.log|replicas\.json|state\/resource-version|addresses|state\/core\/events)/
    const files = readdirSync(this.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.home.length + 1))
      .filter((file) => !ignored.test(file))
    return [...objects, ...processes, ...files.map((file) => `file ${file}`)].toSorted()
  }

  /** What another user of this machine could open: nothing, when the folder is closed to them; credentials are closed one by one. */
  readableByOthers(): string[] {
    const OTHERS = 0o077
    const folder = (statSync(this.home).mode & OTHERS) === 0 ? [] : [this.home]
    const credentials = readdirSync(this.home).filter((file) =>
      /^env$|kubeconfig|certificate|secret|^operator\.env$|^audit\.log$/.test(file),
    )
    return [...folder, ...credentials.filter((file) => (statSync(join(this.home, file)).mode & OTHERS) !== 0)]
  }

  /** kubectl with this installation's kubeconfig. */
  async kubectl(kubectl: string, ...parameters: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
    const options = {
      env: { ...process.env, KUBECONFIG: this.env['KUBECONFIG'], HOME: this.home },
      timeout: 60_000,
      maxBuffer: 16 * 1024 * 1024,
    }
    try {
      return { ...(await run(kubectl, parameters, options)), code: 0 }
    } catch (error) {
      const { stdout = '', stderr = '', code = 1 } = error as { stdout?: string; stderr?: string; code?: number }
      return { stdout, stderr, code }
    }
  }

  /** A Python script in a shell full of left-overs of another AWS set-up, after `source <home>/env`. Its JSON output. */
  async python<Answer>(python: string, script: string, ...parameters: string[]): Promise<Answer> {
    const shell = [
      'export AWS_PROFILE=left-over AWS_DEFAULT_PROFILE=left-over AWS_ACCESS_KEY_ID=AKIAOTHER AWS_SECRET_ACCESS_KEY=other AWS_SESSION_TOKEN=stale',
      'export AWS_REGION=eu-west-3 AWS_DEFAULT_REGION=eu-west-3 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true HTTP_PROXY=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9',
      `. '${join(this.home, 'env')}'`,
      'exec "$0" "$@"',
    ].join('\n')
    const { stdout } = await run('bash', ['-c', shell, python, script, ...parameters], { timeout: 120_000, maxBuffer: 64 * 1024 * 1024 })
    return JSON.parse(stdout) as Answer
  }
}

async function lend(place: Place): Promise<Surroundings> {
  switch (place) {
    case 'embedded':
      return {}
    case 'kubernetes':
      return { plane: await lendPlane() }
    case 'replicas':
      return { plane: await lendPlane(), redis: await lendRedis() }
  }
}

/** Where whoever runs the installation can read it. */
function copyFor(home: string, kubeconfig: string): string {
  const copy = join(home, 'control-plane.kubeconfig')
  const { uid, gid } = statSync(home)
  copyFileSync(kubeconfig, copy)
  chownSync(copy, uid, gid)
  return copy
}

async function giveBack({ plane, redis }: Surroundings): Promise<void> {
  await Promise.all([plane?.giveBack(), redis?.giveBack()])
}

function exportsOf(path: string): Record<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n')
  const found = lines.map((line) => /^export (\w+)='(.*)'$/.exec(line)).filter((match) => match !== null)
  return Object.fromEntries(found.map(([, name, value]) => [name!, value!.replaceAll(`'\\''`, "'")]))
}

function readEnvironment(pid: number): string[] {
  try {
    return existsSync(`/proc/${pid}/environ`) ? readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0') : []
  } catch {
    return []
  }
}
