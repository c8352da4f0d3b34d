/** Adapter: files of a cgroup on held descriptors, one read call a reading, nothing opened again. */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** One read call gets any of these files whole: memory.stat, the longest, is below 4 KB. */
const buffer = Buffer.allocUnsafe(16_384)

/** The group is no more; a descriptor of it can be read no longer. */
export class CgroupGone extends Error {}

export class CgroupFile {
  readonly path: string
  readonly #descriptor: number

  /** @param meaning what is missing where the file is absent, and what to do */
  constructor(directory: string, name: string, meaning: string) {
    this.path = join(directory, name)
    try {
      this.#descriptor = openSync(this.path, 'r')
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      throw new Error(code === 'ENOENT' ? `${this.path} is not there: ${meaning}` : `${this.path} cannot be read (${code})`, { cause })
    }
  }

  /** @throws {CgroupGone} after the group's end */
  text(): string {
    try {
      return buffer.toString('latin1', 0, readSync(this.#descriptor, buffer, 0, buffer.length, 0))
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code === 'ENODEV') throw new CgroupGone(`the cgroup of ${this.path} is gone`, { cause })
      throw cause
    }
  }

  /** The file's one number. */
  amount(): number {
    return this.#amountIn(this.text(), /^(\d+)\n?$/, 'one number')
  }

  /** The number that follows `key` at the beginning of a line. */
  field(key: string): number {
    return this.#amountIn(this.text(), new RegExp(`^${key} (\\d+)$`, 'm'), `the line "${key} <number>"`)
  }

  #amountIn(text: string, pattern: RegExp, wanted: string): number {
    const found = pattern.exec(text)?.[1]
    if (found === undefined) throw new Error(`${this.path} has not ${wanted}: is it a cgroup's?`)
    return Number(found)
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

/** Opens a file that older kernels do not have. */
export function openIfThere(directory: string, name: string): CgroupFile | undefined {
  try {
    return new CgroupFile(directory, name, '')
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Opens all or none. */
export function openAll<Files extends Record<string, CgroupFile | undefined>>(opened: { [Name in keyof Files]: () => Files[Name] }): Files {
  const files: Record<string, CgroupFile | undefined> = {}
  try {
    for (const [name, open] of Object.entries(opened)) files[name] = open()
    return files as Files
  } catch (error) {
    for (const file of Object.values(files)) file?.close()
    throw error
  }
}
