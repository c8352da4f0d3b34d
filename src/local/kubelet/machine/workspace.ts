/** Adapter: a pod's private files. */
import { constants, existsSync, readFileSync } from 'node:fs'
import { copyFile, lstat, mkdir, readdir, readlink, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PodPlan, Prepared } from '../process-host.ts'
import type { PodPlaces } from './places.ts'

/** Dependencies are shared: they are large, and nobody writes to them. */
const LINKED = new Set(['node_modules', '.venv', 'venv'])
/** History and caches are nobody's code. */
const LEFT_OUT = new Set(['.git', '__pycache__'])

const SHIM = fileURLToPath(new URL('../shim/', import.meta.url))

/**
 * Makes the private copy of the code (by reflink where the file system can), HOME, TMPDIR and shim. Symbolic links within
 * the code stay within the copy; others lead to where they led. `installation` is never copied into itself.
 */
export async function makeWorkspace(pod: PodPlan, places: PodPlaces, installation: string): Promise<Prepared> {
  const source = await realpath(pod.directory).catch(() => undefined)
  if (source === undefined || !(await lstat(source)).isDirectory()) {
    return {
      failed: 'DirectoryMissing',
      message: `the code directory ${pod.directory} ${source === undefined ? 'does not exist' : 'is no directory'}; spec.artifact.code.directory is relative to where npm start ran`,
    }
  }
  await rm(places.root, { recursive: true, force: true })
  for (const directory of [places.home, places.temporary]) await mkdir(directory, { recursive: true, mode: 0o700 })
  await copyTree(source, places.code, { root: source, leaveOut: installation })
  await copyTree(SHIM, places.shim, { root: SHIM, leaveOut: installation })
  await linkDependencies(source, places.code)
  await writeFile(join(places.root, 'package.json'), JSON.stringify(packageTypeOf(source)))
  return { ready: true }
}

async function copyTree(from: string, to: string, bounds: { root: string; leaveOut: string }): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (LEFT_OUT.has(entry.name) || source === bounds.leaveOut) continue
    if (LINKED.has(entry.name)) await symlink(source, target)
    else if (entry.isDirectory()) await copyTree(source, target, bounds)
    else if (entry.isSymbolicLink()) await copyLink(source, target, bounds.root)
    else if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_FICLONE)
  }
}

async function copyLink(source: string, target: string, root: string): Promise<void> {
  const destination = await readlink(source)
  const absolute = resolve(dirname(source), destination)
  if (!isWithin(absolute, root)) return symlink(absolute, target)
  await symlink(isAbsolute(destination) ? relative(dirname(source), absolute) : destination, target)
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/** node_modules and the virtual environment of the nearest folder upward, where the code itself has none. */
async function linkDependencies(source: string, copy: string): Promise<void> {
  const modules = nearest(source, (folder) => existsSync(join(folder, 'node_modules')))
  if (modules && modules !== source) await symlink(join(modules, 'node_modules'), join(copy, 'node_modules'))
  const virtual = virtualEnvironmentOf(source)
  if (virtual && dirname(virtual) !== source) await symlink(virtual, join(copy, '.venv'))
}

/** The Python virtual environment: `.venv` or `venv` of the code's own folder, else the nearest `.venv` upward. */
export function virtualEnvironmentOf(source: string): string | undefined {
  const isOne = (path: string): boolean => existsSync(join(path, 'pyvenv.cfg'))
  if (!isOne(join(source, '.venv')) && isOne(join(source, 'venv'))) return join(source, 'venv')
  const folder = nearest(source, (candidate) => isOne(join(candidate, '.venv')))
  return folder && join(folder, '.venv')
}

/** What Node would have read of the nearest package.json above the code: the copy lies elsewhere, below other ones. */
function packageTypeOf(source: string): { type?: string } {
  const folder = nearest(source, (candidate) => existsSync(join(candidate, 'package.json')))
  if (folder === undefined) return {}
  try {
    const { type } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { type?: unknown }
    return typeof type === 'string' ? { type } : {}
  } catch {
    return {} // Node itself will say what is wrong with it
  }
}

function nearest(start: string, holds: (folder: string) => boolean): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    if (holds(folder)) return folder
    if (folder === dirname(folder)) return undefined
  }
}
