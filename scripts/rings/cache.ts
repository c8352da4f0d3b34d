import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Outside the checkout: `CARREL_CACHE`, or the user's cache folder. */
export const CACHE = process.env['CARREL_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'carrel')

/**
 * The folder `<cache>/<name>`, made once by `make` in a fresh folder beside it and renamed when complete, so that an
 * interrupted run leaves no half and two runs do not meet. The name carries the version: another version is another folder.
 */
export function cached(name: string, make: (folder: string) => void): string {
  const path = join(CACHE, name)
  if (existsSync(path)) return path
  mkdirSync(CACHE, { recursive: true })
  console.log(`     preparing ${name} (once; cached in ${CACHE}) …`)
  const fresh = mkdtempSync(join(CACHE, '.new-'))
  try {
    make(fresh)
    if (existsSync(path)) rmSync(fresh, { recursive: true })
    else renameSync(fresh, path)
    return path
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    throw error
  }
}

/** Runs a command to its end; throws with its output when it fails. */
export function run(command: string, parameters: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string {
  const result = spawnSync(command, parameters, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, ...options })
  if (result.status === 0) return result.stdout
  throw new Error(`${command} ${parameters.join(' ')}: ${result.error?.message ?? (result.stderr || result.stdout).trim().split('\n').slice(-8).join('\n')}`)
}
