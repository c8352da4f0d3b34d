/** Adapter: states of the meter as files, one for each pod. */
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MeterStore } from './pod-meter.ts'

const ENDING = '.json'

/** `<home>/usage/<pod UID>.json`, readable by its user only. */
export function usageFiles(home: string): MeterStore {
  const folder = join(home, 'usage')
  const pathOf = (podUID: string): string => join(folder, `${encodeURIComponent(podUID)}${ENDING}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return {
    load() {
      const files = readdirSync(folder).filter((file) => file.endsWith(ENDING))
      return new Map(files.map((file) => [decodeURIComponent(file.slice(0, -ENDING.length)), readFileSync(join(folder, file), 'utf8')]))
    },
    async save(podUID, text) {
      const path = pathOf(podUID)
      await writeFile(`${path}.new`, text, { mode: 0o600 })
      await rename(`${path}.new`, path)
    },
    async remove(podUID) {
      await rm(pathOf(podUID), { force: true })
      await rm(`${pathOf(podUID)}.new`, { force: true })
    },
  }
}
