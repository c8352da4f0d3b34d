/** Adapter: what /proc tells of a process, and nothing that it does not. proc(5). */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import type { ProcessTimes } from './tree.ts'

/** One read call gets any of these files whole: a process' stat is below 1 KB, its smaps_rollup and status below 4 KB. */
const buffer = Buffer.allocUnsafe(16_384)

/** A process' CPU times; undefined when there is none of that pid. An ended one that waits for its parent is still there. */
export function timesOf(pid: number): ProcessTimes | undefined {
  const stat = readProcess(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name in parentheses may hold anything; here starts field 3
  const ticks = (first: number): number => Number(fields[first - 3]) + Number(fields[first - 2])
  return {
    pid,
    parentPid: Number(fields[1]),
    startTicks: fields[22 - 3]!,
    selfTicks: ticks(14), // utime, stime
    reapedTicks: ticks(16), // cutime, cstime
    ended: fields[0] === 'Z' || fields[0] === 'X',
  }
}

export interface ProcessMemory {
  bytes: number
  basis: 'Pss' | 'RssAnon'
}

/** Bytes of a process in memory: its share of what it shares, or, where that may not be read, what is its own. */
export function memoryOf(pid: number): ProcessMemory {
  const shares = readProcess(`/proc/${pid}/smaps_rollup`, true)
  if (shares === undefined) return { bytes: 0, basis: 'Pss' }
  if (shares !== 'closed') return { bytes: kilobytes(shares, 'Pss'), basis: 'Pss' }
  const status = readProcess(`/proc/${pid}/status`) ?? ''
  return { bytes: kilobytes(status, 'RssAnon') + kilobytes(status, 'RssShmem'), basis: 'RssAnon' }
}

/** Resident and shared pages of a process, as text to compare: the kernel knows them without looking. */
export function pagesOf(pid: number): string | undefined {
  return readProcess(`/proc/${pid}/statm`)?.split(' ').slice(1, 3).join(' ')
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
}

/** Names this run of the machine: pids and start times mean nothing after the next boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

/** Clock ticks per second of /proc: AT_CLKTCK of the vector that the kernel gives every program, getauxval(3). */
export function ticksPerSecond(): number {
  const vector = readFileSync('/proc/self/auxv')
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === 17n) return Number(vector.readBigUInt64LE(at + 8))
  }
  return 100 // every architecture that Node runs on
}

/**
 * A file of /proc/PID; undefined when the process is gone. Any other fault is thrown: a process that cannot be seen now must
 * not count as ended. `mayBeClosed`: 'closed' for another user's.
 */
function readProcess(path: string, mayBeClosed = false): string | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'r')
    return buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    if (mayBeClosed && (code === 'EACCES' || code === 'EPERM')) return 'closed'
    throw error
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
