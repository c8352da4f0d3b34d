/** Adapter: one file an object, written whole or not at all. */
import { mkdir, open, readFile, readdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { KubeObject } from '../../kube/objects.ts'
import type { Persistence } from './persistence.ts'

const COUNTER = 'resource-version'
const NEW = '.new'

/**
 * `<root>/<key>.json`. A write goes to a new file, which is synced and renamed over the old one, and the folder is synced:
 * a crash or a full disk leaves the old file or the new one, never a half. Throws at load when a file cannot be read, and
 * names it.
 */
export function filePersistence(folder: string): Persistence {
  const root = resolve(folder)
  const pathOf = (key: string): string => join(root, `${key.split('/').map(encodeURIComponent).join('/')}.json`)

  return {
    async load() {
      await makeFolder(root)
      const objects: { key: string; object: KubeObject }[] = []
      for (const file of await readdir(root, { recursive: true, withFileTypes: true })) {
        const path = join(file.parentPath, file.name)
        if (file.isFile() && file.name.endsWith(NEW)) await rm(path, { force: true })
        if (!file.isFile() || !file.name.endsWith('.json')) continue
        const key = path
          .slice(root.length + 1, -'.json'.length)
          .split('/')
          .map(decodeURIComponent)
          .join('/')
        objects.push({ key, object: await readObject(path) })
      }
      return { objects, reservedThrough: await readCounter(join(root, COUNTER)) }
    },
    reserve: (resourceVersion) => replaceFile(join(root, COUNTER), `${resourceVersion}\n`),
    write: (key, object) => replaceFile(pathOf(key), JSON.stringify(object)),
    async remove(key) {
      const path = pathOf(key)
      try {
        await unlink(path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
        throw error
      }
      await syncFolder(dirname(path))
    },
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path))
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
  await syncFolder(dirname(path))
}

/** A folder is durable when the one that it is in is synced. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  let made = path
  for (;;) {
    await syncFolder(dirname(made))
    if (made === first || made === dirname(made)) return
    made = dirname(made)
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
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

async function readObject(path: string): Promise<KubeObject> {
  try {
    const object = JSON.parse(await readFile(path, 'utf8')) as Partial<KubeObject> | null
    const { name, uid, resourceVersion } = object?.metadata ?? {}
    if (object?.apiVersion && object.kind && name && uid && resourceVersion) return object as KubeObject
  } catch (error) {
    throw damaged(path, (error as Error).message, error)
  }
  throw damaged(path, 'it holds no Kubernetes object')
}

function damaged(path: string, why: string, cause?: unknown): Error {
  return new Error(`${path} cannot be read (${why}): repair or remove this file, then start again`, { cause })
}
