/** Adapter: a part of Carrel as a process of its own, started again whenever it ends, as a cluster would. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { sleep, type Clock } from '../../env/clock.ts'
import type { Log } from '../../env/log.ts'
import type { Report } from '../../telemetry/parent.ts'
import { within } from '../kubelet/within.ts'

const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 10_000
/** A process that lived this long was well: the next pause is the first again. */
const WELL_MS = 10_000
const END_WITHIN_MS = 4_000

export interface ReplicaOptions {
  name: string
  /** Path of its module. */
  module: string
  flags: string[]
  environment: NodeJS.ProcessEnv
  /** Its standard output and error go here. */
  log: string
}

export class Replica {
  readonly name: string
  pid: number | undefined
  /** While it listens. */
  port: number | undefined
  /** Rejects when it ends before it was ready for the first time: something is wrong with it, not with its surroundings. */
  readonly ready: Promise<void>
  readonly #options: ReplicaOptions
  readonly #env: { clock: Clock; log: Log }
  readonly #changed: () => void
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  #child: ChildProcess | undefined
  readonly #isReady = Promise.withResolvers<void>()

  constructor(options: ReplicaOptions, env: { clock: Clock; log: Log }, changed: () => void) {
    this.name = options.name
    this.#options = options
    this.#env = env
    this.#changed = changed
    this.ready = this.#isReady.promise
    this.ready.catch(() => {}) // whoever waits hears of it
    this.#running = this.#keepRunning()
  }

  async stop(): Promise<void> {
    this.#end.abort()
    this.#child?.kill('SIGTERM')
    await within(this.#env.clock, END_WITHIN_MS, this.#running)
    this.#child?.kill('SIGKILL')
    await this.#running
  }

  async #keepRunning(): Promise<void> {
    const { clock, log } = this.#env
    let pauseMs = FIRST_PAUSE_MS
    while (!this.#end.signal.aborted) {
      const startedAtMs = clock.monotonic()
      const how = await this.#runOnce()
      this.#isReady.reject(new Error(`${this.name} ended (${how}) before it was ready: ${this.#options.log} says why`))
      if (this.#end.signal.aborted) return
      log.warn({ replica: this.name, how, log: this.#options.log }, 'a replica ended; it is started again')
      pauseMs = clock.monotonic() - startedAtMs >= WELL_MS ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      await sleep(clock, pauseMs, this.#end.signal)
    }
  }

  /** Resolves when it has ended, with the exit code or the signal. */
  #runOnce(): Promise<number | string> {
    const { module, flags, environment, log } = this.#options
    const output = openSync(log, 'a', 0o600)
    const child = spawn(process.execPath, [module, ...flags], { stdio: ['ignore', output, output, 'ipc'], env: environment })
    closeSync(output)
    this.#child = child
    this.pid = child.pid
    this.#changed()
    child.on('message', (report: Report) => {
      if ('listening' in report) this.port = report.listening
      else this.#isReady.resolve()
      this.#changed()
    })
    return new Promise((resolve) => {
      const ended = (how: number | string): void => {
        this.#child = this.pid = this.port = undefined
        this.#changed()
        resolve(how)
      }
      child.once('error', (error) => ended(error.message))
      child.once('exit', (code, signal) => ended(signal ?? code ?? 0))
    })
  }
}
