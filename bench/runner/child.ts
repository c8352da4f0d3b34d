/** Adapter: a process of a bench. It talks in JSON messages over IPC and ends with the bench, however that ends. */
import { fork, type ChildProcess } from 'node:child_process'

export interface Message {
  kind: string
}

const STOP_WITHIN_MS = 3_000

/** The bench's side of one process. */
export class Child {
  readonly #process: ChildProcess
  readonly #heard: Message[] = []
  readonly #errors: string[] = []
  #wake: () => void = () => {}

  /** `collects`: with `gc()`, so that it can say what it keeps. */
  constructor(file: string, parameters: readonly string[], options: { collects?: boolean } = {}) {
    const execArgv = ['--disable-warning=ExperimentalWarning', ...(options.collects ? ['--expose-gc'] : [])]
    this.#process = fork(file, parameters, { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#process.stderr?.on('data', (chunk: Buffer) => this.#errors.push(chunk.toString('utf8')))
    this.#process.on('message', (message: Message) => {
      this.#heard.push(message)
      this.#wake()
    })
    this.#process.on('exit', () => this.#wake())
  }

  send(message: Message): void {
    this.#process.send(message)
  }

  /** The next message of that kind. Rejects when the process ended first, or after `withinMs`. */
  async hear<Heard extends Message>(kind: Heard['kind'], withinMs: number): Promise<Heard> {
    const deadlineMs = performance.now() + withinMs
    for (;;) {
      const at = this.#heard.findIndex((message) => message.kind === kind)
      if (at >= 0) return this.#heard.splice(at, 1)[0] as Heard
      const ended = this.#process.exitCode ?? this.#process.signalCode
      if (ended !== null) throw new Error(`a process of the bench ended (${ended}) before it said ${kind}: ${this.#errors.join('').trim()}`)
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) throw new Error(`a process of the bench did not say ${kind} within ${withinMs} ms: ${this.#errors.join('').trim()}`)
      await this.#news(leftMs)
    }
  }

  /** It is let go, and killed when it does not go. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = new Promise((resolve) => this.#process.once('exit', resolve))
    if (this.#process.connected) this.#process.disconnect()
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(patience)
  }

  async #news(withinMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, withinMs)
    await promise
    clearTimeout(timer)
  }
}

/** The process's own side: hears commands one after the other, and ends when the bench is gone. */
export function serveBench(handle: (message: Message) => Promise<void>): void {
  let last = Promise.resolve()
  process.on('message', (message: Message) => {
    last = last.then(() => handle(message))
  })
  process.on('disconnect', () => process.exit(0))
}

export function tellBench<Said extends Message>(message: Said): void {
  process.send?.(message)
}
