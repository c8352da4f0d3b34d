import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Outside the checkout: `CARREL_CACHE`, or the user's cache folder. */
export const CACHE = process.env['CARREL_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'carrel')

/**
 * The folder `<cache>/<name>`, made once by `make` in a fresh folder beside it and renamed when complete, so that an
 * interrupted run leaves no half and two runs at once do not meet: the second to be ready throws its own away. The name
 * carries the versions, so another version is another folder. A folder that fails `tryOut` is made anew.
 */
export function cached(name: string, make: (folder: string) => void, tryOut: (folder: string) => void = () => {}): string {
  const path = join(CACHE, name)
  if (existsSync(path) && runsWell(() => tryOut(path))) return path
  mkdirSync(CACHE, { recursive: true })
  console.log(`     preparing ${name}, once; kept in ${CACHE} …`)
  const fresh = mkdtempSync(join(CACHE, '.new-'))
  try {
    make(fresh)
    // Tests that become another user read it too.
    chmodSync(fresh, 0o755)
    tryOut(fresh)
    moveInto(fresh, path, tryOut)
    return path
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

function moveInto(fresh: string, path: string, tryOut: (folder: string) => void): void {
  if (existsSync(path) && runsWell(() => tryOut(path))) return
  try {
    if (existsSync(path)) setAside(path, fresh)
    renameSync(fresh, path)
  } catch (error) {
    if (!existsSync(path)) throw error
  }
}

/** What does not work: out of the way in one step, then removed. */
function setAside(path: string, fresh: string): void {
  const aside = mkdtempSync(`${fresh}-old-`)
  renameSync(path, aside)
  rmSync(aside, { recursive: true, force: true })
}

function runsWell(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

/** Runs a command to its end; throws with the last of its output when it fails. `shown`: its output is seen as it comes. */
export function run(
  command: string,
  parameters: string[],
  { shown = false, ...options }: { cwd?: string; env?: NodeJS.ProcessEnv; shown?: boolean } = {},
): string {
  const stdio = shown ? ('inherit' as const) : ('pipe' as const)
  const result = spawnSync(command, parameters, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio, ...options })
  if (result.status === 0) return result.stdout ?? ''
  if (shown) throw new Error(`${command} failed; what it said is above`)
  const said = result.error?.message ?? (result.stderr || result.stdout).trim().split('\n').slice(-8).join('\n')
  throw new Error(`${command} ${parameters.join(' ')}: ${said}`)
}
