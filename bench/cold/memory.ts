/** Adapter: memory that belongs to the processes of Carrel's parts in their pods, by /proc. */
import { readFileSync, readdirSync } from 'node:fs'

const MIB = 1024
/** By what they run. */
const PARTS = {
  operator: '/carrel/dist/operator/main.js',
  gateway: '/carrel/dist/gateway/main.js',
  meter: '/carrel/dist/metering/sidecar/main.js',
}
export type Part = keyof typeof PARTS

/** Anonymous memory in MiB of the largest process of each part; those in this cgroup only. Shared code is not in it. */
export function anonymousOf(cgroupRoot: string): Partial<Record<Part, number>> {
  const largest: Partial<Record<Part, number>> = {}
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const part = partOf(pid, cgroupRoot)
    if (part === undefined) continue
    largest[part] = Math.max(largest[part] ?? 0, Number(/^Anonymous:\s+(\d+) kB$/m.exec(read(pid, 'smaps_rollup'))?.[1] ?? 0) / MIB)
  }
  return largest
}

function partOf(pid: string, cgroupRoot: string): Part | undefined {
  const command = read(pid, 'cmdline').split('\0')
  const part = (Object.keys(PARTS) as Part[]).find((name) => command.includes(PARTS[name]))
  return part !== undefined && read(pid, 'cgroup').includes(`${cgroupRoot}/`) ? part : undefined
}

/** A process that is gone has nothing. */
function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
