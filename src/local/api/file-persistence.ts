/** Adapter: one file an object, written whole or not at all. */
import { mkdir, open, readFile, readdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { KubeObject } from '../../kube/objects.ts'
import type { Persistence } from './persistence.ts'

const COUNTER = 'resource-version'
const NEW = '.new'

/**
 * `<root>/<key>.json`. A write goes to a new file, which is synced and renamed over the old one, and the folder is synced:
 * a crash or a full disk leaves the old file or the new one, never a half. Throws at load when a file cannot be read, and
 * names it.
 */
export function filePersistence(root: string): Persistence {
  const pathOf = (key: string): string => join(root, `${key.split('/').map(encodeURIComponent).join('/')}.json`)

  return {
    async load() {
      await mkdir(root, { recursive: true, mode: 0o700 })
      const objects: { key: string; object: KubeObject }[] = []
      for (const file of await readdir(root, { recursive: true, withFileTypes: true })) {
        const path = join(file.parentPath, file.name)
        if (file.isFile() && file.name.endsWith(NEW)) await rm(path, { force: true })
        if (!file.isFile() || !file.name.endsWith('.json')) continue
        const key = path.slice(root.length + 1, -'.json'.length).split('/').map(decodeURIComponent).join('/')
        objects.push({ key, object: await readJson<KubeObject>(path) })
      }
      return { objects, reservedThrough: await readCounter(join(root, COUNTER)) }
    },
    reserve: (resourceVersion) => replaceFile(join(root, COUNTER), `${resourceVersion}\n`),
    write: (key, object) => replaceFile(pathOf(key), JSON.stringify(object)),
    async remove(key) {
      await unlink(pathOf(key)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    },
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = path + NEW
  try {
    const file = await open(fresh, 'w', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function readCounter(path: string): Promise<number> {
  try {
    const value = Number(await readFile(path, 'utf8'))
    if (Number.isSafeInteger(value)) return value
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
  throw new Error(`${path} does not hold a number: restore it from a backup, or remove the whole folder to begin anew`)
}

async function readJson<Value>(path: string): Promise<Value> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Value
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as Error).message}): repair or remove this file, then start again`, { cause: error })
  }
}
