/** Adapter: this machine as a host of pods. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { delimiter, dirname } from 'node:path'
import { AGENT_PORT } from '../../../crds/agent-session.ts'
import { sleep } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import type { Exit, HostWatcher, PlacedPod, PodPlan, Prepared, ProcessHost, StartFailure, Started, Violation } from '../process-host.ts'
import { within } from '../within.ts'
import { Addresses } from './addresses.ts'
import { environmentOf } from './environment.ts'
import { ListenerWatch, isTaken, listeningSockets } from './listeners.ts'
import { placesOf, podsDirectory } from './places.ts'
import type { LogWriter } from './log-writer.ts'
import type { PodLogFiles } from './pod-logs.ts'
import { processesByPod } from './process-table.ts'
import { isWildcard } from './socket-table.ts'
import { makeWorkspace, virtualEnvironmentOf } from './workspace.ts'

const KILL_ROUND_MS = 10
const KILL_WITHIN_MS = 5_000
/** After the last process, output is waited for this long: some other program may hold the pipe. */
const LAST_OUTPUT_MS = 500

interface Live {
  child: ChildProcess
  pod: PlacedPod
  exited: Promise<Exit>
}

/**
 * Runs pods as processes of the installation's user. Linux only: it needs /proc, and a loopback on which every address of
 * 127.0.0.0/8 can be bound. Elsewhere every pod fails with a message that says so.
 */
export class MachineHost implements ProcessHost {
  readonly #env: Env
  readonly #home: string
  readonly #logs: PodLogFiles
  readonly #shell: Readonly<Record<string, string | undefined>>
  readonly #addresses: Addresses
  readonly #listeners = new ListenerWatch()
  readonly #live = new Map<string, Live>()
  #watcher: HostWatcher | undefined

  /** `home` is the installation's folder; `shell` the environment of its process, of which agents get next to nothing. */
  constructor(env: Env, options: { home: string; logs: PodLogFiles; shell: Readonly<Record<string, string | undefined>> }) {
    mkdirSync(podsDirectory(options.home), { recursive: true, mode: 0o700 })
    this.#env = env
    this.#home = realpathSync(options.home)
    if (this.#home.includes(delimiter))
      throw new Error(`the folder ${this.#home} has a "${delimiter}" in its path, which PYTHONPATH cannot hold: choose another with --home`)
    this.#logs = options.logs
    this.#shell = options.shell
    this.#addresses = new Addresses(this.#home, env.random)
  }

  /** From now on `watcher` is told. */
  watchedBy(watcher: HostWatcher): void {
    this.#watcher = watcher
  }

  async prepare(pod: PodPlan): Promise<Prepared> {
    if (process.platform !== 'linux') {
      return {
        failed: 'PlatformUnsupported',
        message: `sessions as processes need Linux (an address of 127.0.0.0/8 for each, and /proc); this is ${process.platform}: run the installation in a Linux container or virtual machine`,
      }
    }
    return makeWorkspace(pod, placesOf(this.#home, pod.uid), this.#home)
  }

  async start(pod: PlacedPod): Promise<Started> {
    const taken = await takenPort(pod)
    if (taken) return taken
    const places = placesOf(this.#home, pod.uid)
    const environment = environmentOf(pod, places, { shell: this.#shell, home: this.#home, programs: this.#programsFor(pod) })
    const [program, ...parameters] = pod.command
    const child = spawn(program!, parameters, { cwd: places.code, env: environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined))
      child.once('error', resolve)
    })
    if (failure) return failedStart(failure, pod, environment['PATH'] ?? '')
    const log = this.#logs.writer(pod)
    this.#live.set(pod.uid, { child, pod, exited: this.#whenOver(child, pod.uid, log) })
    return { pid: child.pid! }
  }

  exited(podUID: string): Promise<Exit> {
    return this.#live.get(podUID)?.exited ?? Promise.resolve({ exitCode: 137, signal: constants.signals.SIGKILL })
  }

  async signal(podUID: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const untilMs = this.#env.clock.monotonic() + KILL_WITHIN_MS
    for (let isFirst = true; ; isFirst = false) {
      const processes = await this.processes(podUID)
      if (isFirst) this.#watcher?.signalled(podUID, processes)
      if (signal === 'SIGTERM') return sendAll(processes, signal)
      if (processes.length === 0) return
      if (this.#env.clock.monotonic() > untilMs) throw new Error(`processes ${processes.join(', ')} of pod ${podUID} survive SIGKILL`)
      sendAll(processes, signal)
      await sleep(this.#env.clock, KILL_ROUND_MS)
    }
  }

  async processes(podUID: string): Promise<number[]> {
    return this.processesByPod().get(podUID) ?? []
  }

  /** The live processes of every pod of this home, by its UID. */
  processesByPod(): Map<string, number[]> {
    const leaders = new Map([...this.#live].map(([uid, { child }]) => [child.pid!, uid]))
    return processesByPod(this.#home, leaders)
  }

  async violations(): Promise<Violation[]> {
    return this.#listeners.find(
      () => this.processesByPod(),
      (uid) => this.#live.get(uid)?.pod.address,
    )
  }

  async cleanup(podUID: string): Promise<void> {
    this.#live.delete(podUID)
    await rm(placesOf(this.#home, podUID).root, { recursive: true, force: true, maxRetries: 3 })
  }

  async forget(podUID: string): Promise<void> {
    await this.#logs.remove(podUID)
  }

  async leftovers(): Promise<string[]> {
    if (process.platform !== 'linux') return []
    const known = [...this.processesByPod().keys(), ...readdirSync(podsDirectory(this.#home)), ...(await this.#logs.pods())]
    return [...new Set(known)].filter((uid) => !this.#live.has(uid))
  }

  async nextAddress(): Promise<string> {
    for (;;) {
      const address = this.#addresses.next()
      if (!(await isTaken(address, AGENT_PORT)) || (await everywhere([AGENT_PORT]))) return address
    }
  }

  /** The container ends with its first process: no other outlives it. Then the output is complete. */
  async #whenOver(child: ChildProcess, uid: string, log: LogWriter): Promise<Exit> {
    const closed = Promise.all([pump(child, 'stdout', log), pump(child, 'stderr', log)])
    const exit = await new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve(exitOf(code, signal))))
    await this.signal(uid, 'SIGKILL').catch((error: unknown) =>
      this.#env.log.error({ podUID: uid, err: error }, 'an agent left processes behind'),
    )
    this.#watcher?.over(uid)
    await within(this.#env.clock, LAST_OUTPUT_MS, closed)
    child.stdout?.destroy()
    child.stderr?.destroy()
    await this.#logs.close(uid)
    return exit
  }

  #programsFor(pod: PlacedPod): string[] {
    const virtual = virtualEnvironmentOf(pod.directory)
    return [...(virtual ? [`${virtual}/bin`] : []), dirname(process.execPath)]
  }
}

/** A TCP port of these that some program holds on every address. */
async function everywhere(ports: readonly number[]): Promise<number | undefined> {
  const sockets = await listeningSockets()
  return sockets.find(({ protocol, address, port }) => protocol === 'tcp' && isWildcard(address) && ports.includes(port))?.port
}

/** Whoever holds a port on every address holds it on every session's address too; agents would only say EADDRINUSE. */
async function takenPort({ address, ports }: PlacedPod): Promise<StartFailure | undefined> {
  const taken = await Promise.all(ports.map((port) => isTaken(address, port)))
  const port = taken.includes(true) ? await everywhere(ports) : undefined
  if (port === undefined) return undefined
  return {
    failed: 'PortTaken',
    message: `another program listens on port ${port} of every address, so that no agent can: stop it, or let it listen on 127.0.0.1 (ss -ltnp 'sport = :${port}' shows it)`,
  }
}

/** Reads on only when the last piece is in the file, so that a flood of output slows its writer down. */
async function pump(child: ChildProcess, stream: 'stdout' | 'stderr', log: LogWriter): Promise<void> {
  try {
    for await (const chunk of child[stream]!) await log.write(stream, chunk as Uint8Array)
  } catch {
    // destroyed: the pod is over, and somebody else held the pipe
  }
}

function sendAll(processes: readonly number[], signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of processes) {
    try {
      process.kill(pid, signal)
    } catch {
      // gone meanwhile; one that may not be signalled is found again by the next round
    }
  }
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): Exit {
  if (signal === null) return { exitCode: code ?? 1 }
  const number = constants.signals[signal]
  return { exitCode: 128 + number, signal: number }
}

function failedStart(error: NodeJS.ErrnoException, pod: PlacedPod, path: string): StartFailure {
  const program = pod.command[0]!
  if (error.code === 'ENOENT') {
    const where = program.includes('/') ? 'in the code directory' : `in PATH (${path})`
    return {
      failed: 'CommandNotFound',
      message: `the command "${program}" was not found ${where}; see spec.artifact.code.command (a script's interpreter must exist too)`,
    }
  }
  if (error.code === 'EACCES') {
    return {
      failed: 'CommandNotExecutable',
      message: `the command "${program}" may not be executed; chmod +x it, or name its interpreter in spec.artifact.code.command`,
    }
  }
  return { failed: 'StartError', message: `the command "${program}" could not be started: ${error.message}` }
}
