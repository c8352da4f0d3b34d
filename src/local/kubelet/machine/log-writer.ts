/** Adapter: writes one pod's log file. */
import { mkdir, open, rename, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { rfc3339Micros } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import { LineCutter, formatLine, type LogLine } from './log-lines.ts'

/** Two files of this size are kept of each pod. */
const LARGEST_FILE_BYTES = 10 * 1024 * 1024
/** A reader that follows and falls this far behind is cut off. */
const LARGEST_BACKLOG_LINES = 10_000

/** Everything happens in the order it was asked for: writes, and the moments at which readers begin to follow. */
export class LogWriter {
  readonly #env: Env
  readonly #file: string
  readonly #cutters = { stdout: new LineCutter(), stderr: new LineCutter() }
  readonly #followers = new Set<Follower>()
  #handle: FileHandle | undefined
  #sizeBytes = 0
  #tail: Promise<unknown> = Promise.resolve()

  constructor(env: Env, file: string) {
    this.#env = env
    this.#file = file
  }

  /** Never rejects: a full disk costs lines, never the agent. Waiting for it is the agent's back pressure. */
  write(stream: LogLine['stream'], chunk: Uint8Array): Promise<void> {
    return this.#inOrder(() => this.#append(stream, this.#cutters[stream].push(chunk)))
  }

  /** Ends those who follow. */
  close(): Promise<void> {
    return this.#inOrder(async () => {
      await this.#append('stdout', this.#cutters.stdout.end())
      await this.#append('stderr', this.#cutters.stderr.end())
      await this.#handle?.close()
    }).finally(() => {
      for (const follower of this.#followers) follower.end()
    })
  }

  /** Reads what is there and hears all that comes after, without a line lost or doubled between the two. */
  async follow(readWritten: () => Promise<LogLine[]>): Promise<{ written: LogLine[]; follower: Follower }> {
    const follower = new Follower(() => this.#followers.delete(follower))
    let written: LogLine[] = []
    await this.#inOrder(async () => {
      written = await readWritten()
      this.#followers.add(follower)
    })
    return { written, follower }
  }

  #inOrder(run: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(run).catch((error: unknown) => {
      this.#env.log.warn({ file: this.#file, err: error }, "an agent's output could not be written")
    })
    this.#tail = done
    return done
  }

  async #append(stream: LogLine['stream'], cut: { text: string; full: boolean }[]): Promise<void> {
    if (cut.length === 0) return
    const time = rfc3339Micros(this.#env.clock.now())
    const lines = cut.map(({ text, full }) => ({ time, stream, full, text }))
    const bytes = Buffer.from(lines.map(formatLine).join(''))
    const handle = await this.#openFor(bytes.length)
    await handle.appendFile(bytes)
    this.#sizeBytes += bytes.length
    for (const follower of this.#followers) follower.push(lines)
  }

  async #openFor(moreBytes: number): Promise<FileHandle> {
    if (this.#handle && this.#sizeBytes + moreBytes > LARGEST_FILE_BYTES) {
      await this.#handle.close()
      await rename(this.#file, `${this.#file}.1`)
      this.#handle = undefined
    }
    if (this.#handle === undefined) {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
      this.#handle = await open(this.#file, 'a', 0o600)
      this.#sizeBytes = (await this.#handle.stat()).size
    }
    return this.#handle
  }
}

/** Lines as they are written, from the moment it began. */
export class Follower {
  readonly #onEnd: () => void
  #lines: LogLine[] = []
  #ended = false
  #wake: () => void = () => {}

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd
  }

  push(lines: readonly LogLine[]): void {
    this.#lines.push(...lines)
    if (this.#lines.length > LARGEST_BACKLOG_LINES) this.end()
    this.#wake()
  }

  /** Idempotent. What it holds is still given. */
  end(): void {
    this.#ended = true
    this.#onEnd()
    this.#wake()
  }

  async *lines(): AsyncIterable<LogLine> {
    for (;;) {
      const batch = this.#lines
      this.#lines = []
      yield* batch
      if (this.#lines.length > 0) continue
      if (this.#ended) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
