import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../kit/eventually.ts'

const START_WITHIN_MS = 90_000
const TOLD_LINES = 15

/** One process of a control plane or a node. It dies with this one: a test that is killed leaves nothing behind. */
export class Part {
  readonly name: string
  readonly #child: ChildProcess
  readonly #log: string

  /** `command` is the whole of it. Its output goes to `<directory>/<name>.log`. */
  constructor(name: string, command: string[], directory: string) {
    this.name = name
    this.#log = join(directory, `${name}.log`)
    const log = openSync(this.#log, 'a', 0o600)
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', log, log] })
    closeSync(log)
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Waits for `isSo`; throws with the last of its log when the process ends before, or takes too long. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const died = new Promise<never>((_, reject) => {
      const tell = (): void => reject(new Error(`${this.name} ended before ${what}: ${this.#lastWords()}`))
      this.#child.once('exit', tell)
      this.#child.once('error', tell)
    })
    died.catch(() => {}) // it ends one day, long after this
    const reached = eventually(isSo, { withinMs: START_WITHIN_MS, everyMs: 50, because: what }).catch((error: Error) => {
      throw new Error(`${error.message}; ${this.name} says: ${this.#lastWords()}`, { cause: error })
    })
    await Promise.race([reached, died])
  }

  /** Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await exit
  }

  #lastWords(): string {
    return readFileSync(this.#log, 'utf8').split('\n').slice(-TOLD_LINES).join('\n')
  }
}
