/**
 * Runs test files in phases, as one run: in a phase some files at a time, each a process of its own, and the phases one after
 * the other. What it tells of them is one stream of events with one summary at its end, whatever the number of phases.
 */
import { run } from 'node:test'
import type { TestEvent } from 'node:test/reporters'

export interface Phase {
  files: readonly string[]
  /** How many of them at once. */
  concurrency: number
  /** What all of them use, opened before the first and closed after the last. */
  open?: () => Promise<Opened>
}

export interface Opened {
  /** Added to that of their processes. */
  environment: Record<string, string>
  close(): Promise<void>
}

export interface PhaseOptions {
  cwd: string
  /** Of each file's process. */
  env: NodeJS.ProcessEnv
  timeoutMs: number
  namePatterns: string[]
  skipPatterns: string[]
  /** Ends the files that run, and starts no others. */
  signal: AbortSignal
}

/** As Node's runner counts them, in its order; `duration_ms` is the sum of the phases. */
export type Counts = Map<string, number>

const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/

/** Every event but the summaries of the phases, which are added to `counts`. */
export async function* eventsOf(phases: readonly Phase[], counts: Counts, options: PhaseOptions): AsyncGenerator<TestEvent> {
  for (const { files, concurrency, open } of phases) {
    if (files.length === 0 || options.signal.aborted) continue
    const opened = await open?.()
    const { cwd, env, timeoutMs, namePatterns, skipPatterns, signal } = options
    const events: AsyncIterable<TestEvent> = run({
      files: [...files],
      concurrency,
      cwd,
      env: { ...env, ...opened?.environment },
      timeout: timeoutMs,
      execArgv: ['--import', new URL('end-in-time.ts', import.meta.url).href],
      testNamePatterns: namePatterns,
      testSkipPatterns: skipPatterns,
      signal,
    })
    for await (const event of events) {
      if (event.type === 'test:summary' && event.data.file === undefined) continue // reporters end their page at it
      const [, name, value] = (event.type === 'test:diagnostic' && isOfWhole(event.data) && COUNT.exec(event.data.message)) || []
      if (name === undefined) yield event
      else counts.set(name, (counts.get(name) ?? 0) + Number(value))
    }
    await opened?.close()
  }
}

/** The lines of a summary, as events of the kind that Node's runner ends with. */
export function* summaryOf(counts: Counts): Generator<TestEvent> {
  for (const [name, value] of counts) yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}`, level: 'info' } }
}

export const hasFailed = (counts: Counts): boolean => counts.size === 0 || counts.get('fail') !== 0 || counts.get('cancelled') !== 0

function isOfWhole({ nesting, file }: { nesting: number; file?: string | undefined }): boolean {
  return nesting === 0 && file === undefined
}
