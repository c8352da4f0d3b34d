/** Adapter: what a node keeps of its images, unpacked once for a list of archives and kept in the cache. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, statSync, utimesSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CACHE } from '../../scripts/rings/cache.ts'

const execute = promisify(execFile)
const PREFIX = 'node-images-'
/** Most change with the code; what nobody asked for this long goes. */
const KEPT_UNUSED_MS = 900_000

/** Path in the cache of what containerd has when it has unpacked these archives, made or not. */
export function storeOf(archives: string[], containerd: string): string {
  const parts = [containerd, ...archives].map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`)
  return join(CACHE, PREFIX + createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 24))
}

/**
 * Gives containerd's folder what the cache has; false when it has none. Files are shared by links, because containerd never
 * writes to what it has unpacked; its databases are copied.
 */
export async function takeStore(store: string, root: string): Promise<boolean> {
  if (!existsSync(store)) return false
  try {
    utimesSync(store, new Date(), new Date())
    await link(store, root)
    return true
  } catch {
    await rm(root, { recursive: true, force: true }) // the cache is on another disk, or was just emptied
    return false
  }
}

/** Keeps what containerd, which is not running, has in its folder. */
export async function keepStore(store: string, root: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true })
  const fresh = mkdtempSync(join(CACHE, '.new-'))
  try {
    await link(root, join(fresh, 'store'))
    renameSync(join(fresh, 'store'), store)
  } catch {
    // It is on another disk, or another run was first: the next does without, or finds that one's.
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  await leaveOff()
}

async function link(from: string, to: string): Promise<void> {
  await execute('cp', ['--archive', '--link', from, to])
  const databases = readdirSync(to, { recursive: true, withFileTypes: true }).filter((entry) => entry.name.endsWith('.db'))
  for (const { parentPath, name } of databases) {
    if (parentPath.includes('/snapshots/')) continue // of an image
    const path = join(parentPath, name)
    await execute('cp', ['--archive', '--remove-destination', path.replace(to, from), path])
  }
}

async function leaveOff(): Promise<void> {
  const beforeMs = Date.now() - KEPT_UNUSED_MS
  for (const name of readdirSync(CACHE).filter((each) => each.startsWith(PREFIX))) {
    const path = join(CACHE, name)
    const { mtimeMs } = lstatSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity }
    if (mtimeMs < beforeMs) await rm(path, { recursive: true, force: true })
  }
}
