import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { eventually } from './eventually.ts'
import { Installed, type Identity, type Tuning } from './installed.ts'
import type { Place } from '../../scripts/places.ts'
import { PLACE } from './place.ts'
import { lendPlane, type LentPlane } from './planes.ts'
import { lendRedis, type LentRedis } from './redises.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const START_WITHIN_MS = 30_000

export interface InstallationOptions extends Tuning {
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
  /** Instead of this process's own. */
  wholeEnvironment?: NodeJS.ProcessEnv
}

/** What an installation is joined to, and survives it. */
export interface Surroundings {
  plane?: LentPlane
  redis?: LentRedis
}

/** As `npm start` gives it: started by the launcher, agents as processes of this machine. */
export class LocalInstallation extends Installed {
  readonly child: ChildProcess
  readonly #options: InstallationOptions
  readonly #output: string[]

  private constructor(options: InstallationOptions, home: string, child: ChildProcess, output: string[]) {
    super(home)
    this.#options = options
    this.child = child
    this.#output = output
  }

  /** Stopped, and its folder removed, when the test ends. */
  static async start(t: TestContext, options: InstallationOptions = {}): Promise<LocalInstallation> {
    const home = options.home ?? mkdtempSync(join(tmpdir(), 'carrel-home-'))
    const surroundings = options.surroundings ?? (await lend(options.place ?? PLACE))
    const installation = await LocalInstallation.launch({ ...options, home, surroundings })
    t.after(async () => {
      await installation.stop()
      if (options.surroundings === undefined) await giveBack(surroundings)
      if (options.home === undefined) rmSync(home, { recursive: true, force: true })
    })
    return installation
  }

  /** Without a test's clean-up: the caller stops it. */
  static async launch(options: InstallationOptions & { home: string }): Promise<LocalInstallation> {
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
      await LocalInstallation.#untilStarted(child, output)
      return new LocalInstallation(options, home, child, output)
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
  restart(): Promise<LocalInstallation> {
    return LocalInstallation.launch({ ...this.#options, home: this.home })
  }

  /** Ctrl-C, which a terminal sends to the whole group, and waits for the end. Answers how long it took, in ms. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number> {
    const startedAt = performance.now()
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = new Promise((resolve) => this.child.once('exit', resolve))
      process.kill(-this.child.pid!, signal) // as a terminal does: to the whole group, npm and its shell included
      await exited
    }
    await this.close()
    return performance.now() - startedAt
  }

  /** kill -9 of the process that holds everything, not of its launcher. */
  async killHard(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once('exit', resolve))
    process.kill(this.#pid(), 'SIGKILL')
    await exited
  }

  /** Path of the kubeconfig of a part, or of the administrator. */
  override kubeconfigOf(identity: Identity): string {
    return identity === 'admin' ? this.env['KUBECONFIG']! : join(this.home, `${identity}.kubeconfig`)
  }

  override gatewayPids(): number[] {
    const replicas = join(this.home, 'replicas.json')
    if (!existsSync(replicas)) return [this.#pid()]
    const { gateways } = JSON.parse(readFileSync(replicas, 'utf8')) as { gateways: { pid: number }[] }
    return gateways.map(({ pid }) => pid)
  }

  /** Of the process that holds everything, not of its launcher. */
  #pid(): number {
    return Number(readFileSync(join(this.home, 'lock'), 'utf8').split(' ')[0])
  }

  override async gatewayLog(): Promise<string[]> {
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

  override audit(): AuditLine[] {
    const { plane } = this.#options.surroundings ?? {}
    if (plane) return plane.audit()
    const text = readFileSync(this.auditFile(), 'utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditLine)
  }

  /** By the marker in their environment. */
  override agents(podUID?: string): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const environment = readEnvironment(pid)
        const ofHome = environment.some((entry) => entry.startsWith('CARREL_POD_HOME=') && entry.includes(this.home))
        return ofHome && (podUID === undefined || environment.includes(`CARREL_POD_UID=${podUID}`))
      })
  }

  override async pidHere(_sessionId: string, pid: number): Promise<number> {
    return pid
  }

  override async everyLog(): Promise<string> {
    return [this.output, ...(await this.gatewayLog())].join('\n')
  }

  override async remains(): Promise<string[]> {
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
}

async function lend(place: Place): Promise<Surroundings> {
  switch (place) {
    case 'embedded':
      return {}
    case 'kubernetes':
      return { plane: await lendPlane() }
    case 'replicas':
      return { plane: await lendPlane(), redis: await lendRedis() }
    case 'cluster':
      throw new Error('npm start runs agents as processes: on a cluster the chart is installed')
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

function readEnvironment(pid: number): string[] {
  try {
    return existsSync(`/proc/${pid}/environ`) ? readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0') : []
  } catch {
    return []
  }
}
