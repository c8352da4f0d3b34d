/** The cluster that the test files of a run share (test/kit/bed.ts), held by a process of its own. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const MAIN = join(import.meta.dirname, '..', 'test', 'kit', 'bed-main.ts')
const OPEN_WITHIN_MS = 240_000
const LOOK_EVERY_MS = 100

export interface OpenBed {
  /** For the test files. One that could not be opened tells them why, and they fail. */
  environment: Record<string, string>
  close(): Promise<void>
}

export async function openBed(folder: string, env: NodeJS.ProcessEnv): Promise<OpenBed> {
  const file = join(folder, 'bed.json')
  console.log('carrel: a cluster with Carrel on it, by its chart …')
  const startedAtMs = performance.now()
  const child = spawn(process.execPath, [MAIN, file], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  let failure: string | undefined
  const exited = new Promise<void>((resolve) => {
    const end = (how: string): void => {
      failure ??= `the cluster for the tests ended (${how}): see above`
      resolve()
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(String(signal ?? code)))
  })
  while (failure === undefined && !existsSync(file)) {
    if (performance.now() - startedAtMs > OPEN_WITHIN_MS)
      failure = `the cluster for the tests was not open within ${OPEN_WITHIN_MS / 1000} s`
    await wait(LOOK_EVERY_MS)
  }
  if (failure === undefined) console.log(`carrel: it is open after ${Math.round((performance.now() - startedAtMs) / 1000)} s`)
  else console.error(`carrel: ${failure}`)
  return {
    environment: failure === undefined ? { CARREL_TEST_BED: file } : { CARREL_TEST_BED_FAILED: failure },
    async close() {
      child.kill('SIGTERM')
      await exited
    },
  }
}
