/** Adapter: what agents write, in files. */
import { mkdir, open, readFile, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { AGENT_CONTAINER } from '../../../crds/agent-session.ts'
import { rfc3339Micros } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import type { Pod } from '../../../kube/objects.ts'
import { LineCutter, formatLine, parseLine, select, shown, type LogLine, type ReadOptions } from './log-lines.ts'

/** Two such files are kept of each pod. */
const LARGEST_FILE_BYTES = 10 * 1024 * 1024
/** A reader that follows and falls this far behind is cut off. */
const LARGEST_BACKLOG_LINES = 10_000

export interface LogKey {
  namespace: string
  name: string
  uid: string
}

/** Written to in order; `close` ends those who follow. */
export interface LogWriter {
  write(stream: LogLine['stream'], chunk: Uint8Array): Promise<void>
  close(): Promise<void>
}

/**
 * The logs of all pods of an installation: `logs/pods/<namespace>_<name>_<uid>/agent/0.log` below its folder, with the
 * one before as `0.log.1`. They stay when the process ends and go when the pod's object does.
 */
export class PodLogFiles {
  readonly #env: Env
  readonly #root: string
  readonly #followers = new Map<string, Set<Follower>>()
  readonly #open = new Set<string>()

  constructor(env: Env, home: string) {
    this.#env = env
    this.#root = join(home, 'logs', 'pods')
  }

  async writer(key: LogKey): Promise<LogWriter> {
    const folder = this.#folderOf(key)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, '0.log')
    const cutters = { stdout: new LineCutter(), stderr: new LineCutter() }
    let handle = await open(file, 'a', 0o600)
    let sizeBytes = (await handle.stat()).size
    let tail: Promise<void> = Promise.resolve()
    this.#open.add(key.uid)

    const append = async (stream: LogLine['stream'], cut: { text: string; full: boolean }[]): Promise<void> => {
      const time = rfc3339Micros(this.#env.clock.now())
      const lines = cut.map(({ text, full }) => ({ time, stream, full, text }))
      if (lines.length === 0) return
      if (sizeBytes > LARGEST_FILE_BYTES) {
        handle = await rotate(handle, file)
        sizeBytes = 0
      }
      const bytes = Buffer.from(lines.map(formatLine).join(''))
      sizeBytes += bytes.length
      await handle.appendFile(bytes)
      for (const follower of this.#followers.get(key.uid) ?? []) follower.push(lines)
    }
    /** A full disk costs lines, never the agent. */
    const inOrder = (run: () => Promise<void>): Promise<void> =>
      (tail = tail.then(run).catch((error: unknown) => this.#env.log.warn({ pod: key.name, err: error }, "an agent's output could not be written")))

    return {
      write: (stream, chunk) => inOrder(() => append(stream, cutters[stream].push(chunk))),
      close: () =>
        inOrder(async () => {
          await append('stdout', cutters.stdout.end())
          await append('stderr', cutters.stderr.end())
        }).then(async () => {
          this.#open.delete(key.uid)
          for (const follower of this.#followers.get(key.uid) ?? []) follower.end()
          await handle.close()
        }),
    }
  }

  /**
   * The log of a pod, as the API's `pods/log` gives it. With `follow` it goes on until the pod ends or the signal aborts.
   * Yields nothing for a pod that has written nothing.
   */
  async *read(pod: Pod, container: string, options: ReadOptions & { follow?: boolean; previous?: boolean } = {}, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    if (container !== AGENT_CONTAINER || options.previous) return
    const key = { namespace: pod.metadata.namespace!, name: pod.metadata.name, uid: pod.metadata.uid! }
    const follower = options.follow && this.#open.has(key.uid) ? this.#follow(key.uid, signal) : undefined
    let leftBytes = options.limitBytes ?? Infinity
    let startsLine = true
    const take = (line: LogLine): Uint8Array => {
      const bytes = Buffer.from(shown(line, startsLine, options)).subarray(0, leftBytes)
      startsLine = line.full
      leftBytes -= bytes.length
      return bytes
    }
    try {
      const written = await this.#linesOf(key)
      const already = follower ? follower.takeAlreadyWritten(written) : written
      for (const line of select(already, options, this.#env.clock.now())) {
        yield take(line)
        if (leftBytes <= 0) return
      }
      if (follower === undefined) return
      for await (const line of follower.lines()) {
        yield take(line)
        if (leftBytes <= 0) return
      }
    } finally {
      if (follower) this.#followers.get(key.uid)?.delete(follower)
    }
  }

  /** UIDs of pods that have a log. */
  async pods(): Promise<string[]> {
    const names = await readdir(this.#root).catch(() => [])
    return names.map((name) => name.slice(name.lastIndexOf('_') + 1))
  }

  async remove(podUID: string): Promise<void> {
    for (const name of await readdir(this.#root).catch(() => [])) {
      if (name.endsWith(`_${podUID}`)) await rm(join(this.#root, name), { recursive: true, force: true })
    }
  }

  #folderOf({ namespace, name, uid }: LogKey): string {
    return join(this.#root, `${namespace}_${name}_${uid}`, AGENT_CONTAINER)
  }

  async #linesOf(key: LogKey): Promise<LogLine[]> {
    const file = join(this.#folderOf(key), '0.log')
    const texts = await Promise.all([`${file}.1`, file].map((path) => readFile(path, 'utf8').catch(() => '')))
    return texts.join('').split('\n').flatMap((line) => parseLine(line) ?? [])
  }

  #follow(podUID: string, signal: AbortSignal | undefined): Follower {
    const follower = new Follower()
    signal?.addEventListener('abort', () => follower.end(), { once: true })
    if (signal?.aborted) follower.end()
    const followers = this.#followers.get(podUID) ?? new Set()
    this.#followers.set(podUID, followers.add(follower))
    return follower
  }
}

async function rotate(handle: FileHandle, file: string): Promise<FileHandle> {
  await handle.close()
  await rename(file, `${file}.1`)
  return open(file, 'a', 0o600)
}

/** Lines that were written since it began. */
class Follower {
  #lines: LogLine[] = []
  #ended = false
  #wake: () => void = () => {}

  push(lines: readonly LogLine[]): void {
    this.#lines.push(...lines)
    if (this.#lines.length > LARGEST_BACKLOG_LINES) this.#ended = true
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** What came between the beginning and the reading of the file is in both: the file's tail is taken as the newer half. */
  takeAlreadyWritten(written: LogLine[]): LogLine[] {
    const pending = this.#lines.length
    this.#lines = []
    void pending
    return written
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
