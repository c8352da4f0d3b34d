/**
 * Adapter: reads from /proc the memory of a pod's processes.
 *
 * A process' share of what it shares takes the kernel about a millisecond for 100 MB, so it is read again only when the
 * process' page counts have moved, when the pod's processes are others, and with every tenth reading.
 */
import { memoryOf, pagesOf, type ProcessMemory } from './proc-files.ts'

export interface MemoryReading {
  memoryBytes: number
  /** By shares; where that is closed to us (another user's process), by what is a process' own. */
  memoryBasis: 'Pss' | 'RssAnon' | 'Mixed'
}

interface Held extends ProcessMemory {
  pages: string | undefined
}

const FRESH_READINGS = 10

export class TreeMemory {
  last: MemoryReading = { memoryBytes: 0, memoryBasis: 'Pss' }
  #held = new Map<number, Held>()
  #readings = 0

  /** `pids`: the live processes. */
  read(pids: readonly number[]): void {
    const isFresh = this.#readings++ % FRESH_READINGS !== 0 && pids.length === this.#held.size && pids.every((pid) => this.#held.has(pid))
    const before = isFresh ? this.#held : new Map<number, Held>()
    this.#held = new Map(pids.map((pid) => [pid, memoryNow(pid, before.get(pid))]))
    const parts = [...this.#held.values()]
    const bases = new Set(parts.map(({ basis }) => basis))
    this.last = {
      memoryBytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      memoryBasis: bases.size > 1 ? 'Mixed' : ([...bases][0] ?? 'Pss'),
    }
  }
}

function memoryNow(pid: number, held: Held | undefined): Held {
  const pages = pagesOf(pid)
  return held !== undefined && held.pages === pages ? held : { ...memoryOf(pid), pages }
}
