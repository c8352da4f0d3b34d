/** Adapter: what agents write, in files. */
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AGENT_CONTAINER } from '../../../crds/agent-session.ts'
import type { Env } from '../../../env/env.ts'
import type { Pod } from '../../../kube/objects.ts'
import { parseLine, select, shown, type LogLine, type ReadOptions } from './log-lines.ts'
import { LogWriter } from './log-writer.ts'

export interface LogKey {
  namespace: string
  name: string
  uid: string
}

/**
 * The logs of all pods of an installation: `logs/pods/<namespace>_<name>_<uid>/agent/0.log` below its folder, with the
 * one before as `0.log.1`. They stay when the process ends and go when the pod's object does.
 */
export class PodLogFiles {
  readonly #env: Env
  readonly #root: string
  readonly #writers = new Map<string, LogWriter>()

  constructor(env: Env, home: string) {
    this.#env = env
    this.#root = join(home, 'logs', 'pods')
  }

  writer(key: LogKey): LogWriter {
    const writer = new LogWriter(this.#env, this.#fileOf(key))
    this.#writers.set(key.uid, writer)
    return writer
  }

  /** Everything that was written is in the file, and those who follow have their end. */
  async close(podUID: string): Promise<void> {
    const writer = this.#writers.get(podUID)
    this.#writers.delete(podUID)
    await writer?.close()
  }

  /**
   * The log of a pod, as the API's `pods/log` gives it. With `follow` it goes on until the pod ends or the signal aborts.
   * Yields nothing for a pod that has written nothing.
   */
  async *read(
    pod: Pod,
    container: string,
    options: ReadOptions & { follow?: boolean; previous?: boolean } = {},
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (container !== AGENT_CONTAINER || options.previous) return
    const key = { namespace: pod.metadata.namespace!, name: pod.metadata.name, uid: pod.metadata.uid! }
    let leftBytes = options.limitBytes ?? Infinity
    let startsLine = true
    for await (const line of this.#lines(key, options, signal)) {
      const bytes = Buffer.from(shown(line, startsLine, options)).subarray(0, leftBytes)
      startsLine = line.full
      leftBytes -= bytes.length
      yield bytes
      if (leftBytes <= 0) return
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

  async *#lines(key: LogKey, options: ReadOptions & { follow?: boolean }, signal: AbortSignal | undefined): AsyncIterable<LogLine> {
    const writer = options.follow ? this.#writers.get(key.uid) : undefined
    if (writer === undefined) return yield* select(await this.#written(key), options, this.#env.clock.now())

    const { written, follower } = await writer.follow(() => this.#written(key))
    const end = (): void => follower.end()
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted) end()
    try {
      yield* select(written, options, this.#env.clock.now())
      yield* follower.lines()
    } finally {
      signal?.removeEventListener('abort', end)
      end()
    }
  }

  async #written(key: LogKey): Promise<LogLine[]> {
    const file = this.#fileOf(key)
    const texts = await Promise.all([`${file}.1`, file].map((path) => readFile(path, 'utf8').catch(() => '')))
    const lines = texts.join('').split('\n').slice(0, -1) // what has no line feed yet is being written
    return lines.flatMap((line) => parseLine(line) ?? [])
  }

  #fileOf({ namespace, name, uid }: LogKey): string {
    return join(this.#root, `${namespace}_${name}_${uid}`, AGENT_CONTAINER, '0.log')
  }
}
