import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'

const READ_EVERY_MS = 100
const TICKS_PER_SECOND = 100
const FLOOR_BYTES = 128 * 2 ** 20

export interface Integrals {
  peakGBSeconds: number
  inUseGBSeconds: number
}

/**
 * What the kernel tells of an agent's processes, read by the test itself ten times a second and added up by the price books'
 * rules, for sessions below 120 s: all of it, in plain arithmetic, so that the meter is judged by something other than itself.
 */
export class KernelView {
  readonly #pids: () => number[]
  readonly #timer: NodeJS.Timeout
  readonly #readings: { atMs: number; bytes: number }[] = []
  #pidsKnown: number[] = []
  #looked = 0

  constructor(pids: () => number[], t: TestContext) {
    this.#pids = pids
    this.#timer = setInterval(() => this.#read(), READ_EVERY_MS)
    t.after(() => clearInterval(this.#timer))
  }

  /** Of a process and the children that it waited for: utime, stime, cutime, cstime of proc(5). */
  cpuSeconds(pid: number): number {
    const fields = statOf(pid) ?? []
    return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / TICKS_PER_SECOND
  }

  isAnyAlive(): boolean {
    return this.#pidsKnown.some((pid) => !['Z', 'X', undefined].includes(statOf(pid)?.[0]))
  }

  close(): Integrals {
    this.#readings.push({ atMs: performance.now(), bytes: 0 })
    clearInterval(this.#timer)
    let [peakBytes, peak, inUse] = [FLOOR_BYTES, 0, 0]
    for (const [at, reading] of this.#readings.entries()) {
      const before = this.#readings[at - 1]
      if (before === undefined) continue
      const seconds = (reading.atMs - before.atMs) / 1000
      peakBytes = Math.max(peakBytes, before.bytes)
      peak += peakBytes * seconds
      inUse += peakBytes * seconds // nothing is reclaimed within 120 s
    }
    return { peakGBSeconds: peak / 2 ** 30, inUseGBSeconds: inUse / 2 ** 30 }
  }

  #read(): void {
    // Whose processes they are is dear to find out: often only while there is none.
    if (this.#pidsKnown.length === 0 || (this.#looked += 1) % 5 === 0) this.#pidsKnown = this.#pids()
    if (this.#pidsKnown.length === 0) return
    const bytes = this.#pidsKnown.reduce((sum, pid) => sum + proportionalBytes(pid), 0)
    this.#readings.push({ atMs: performance.now(), bytes })
  }
}

function proportionalBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
