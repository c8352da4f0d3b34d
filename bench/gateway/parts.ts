/** Adapter: operator and gateway as processes of their own, as a cluster runs them, beside an installation's API. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../../test/kit/eventually.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const READY_WITHIN_MS = 30_000

export interface Part {
  pid: number
  /** What it reported when it was ready: the gateway's port. */
  port: number
  /** Path of its log, an access log too. */
  log: string
  stop(): Promise<void>
}

/** `logFile`: a real file, as writing it is one of the gateway's duties. */
export async function startPart(
  entry: 'operator' | 'gateway',
  parameters: readonly string[],
  logFile: string,
  { execArgv = [], env = {} }: { execArgv?: string[]; env?: Record<string, string> } = {},
): Promise<Part> {
  const log = openSync(logFile, 'a')
  const child = spawn(process.execPath, [...execArgv, join(ROOT, 'src', entry, 'main.ts'), ...parameters], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', log],
  })
  closeSync(log)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  const isReady = (): { port?: number } | undefined => {
    if (child.exitCode !== null) throw new Error(`the ${entry} ended`)
    const line = readFileSync(logFile, 'utf8')
      .split('\n')
      .find((one) => one.includes(`"${entry} ready"`))
    return line === undefined ? undefined : (JSON.parse(line) as { port?: number })
  }
  try {
    const { port = 0 } = await eventually(isReady, { withinMs: READY_WITHIN_MS, because: `the ${entry} is ready` })
    return { pid: child.pid!, port, log: logFile, stop }
  } catch (error) {
    const said = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join('\n')
    await stop()
    throw new Error(`${(error as Error).message}; it said: ${said}`, { cause: error })
  }
}
