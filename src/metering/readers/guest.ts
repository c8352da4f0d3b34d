/**
 * Adapter: what a whole microVM uses, read from inside it: its kernel runs one pod and nothing else. kernel.org, filesystems/proc;
 * kata-containers, the guest's kernel command line.
 *
 * Where the kernel is not the pod's own (runc), these files tell of the whole node. So the reader opens only after it has seen that
 * the kernel was started by Kata and lately, and says why when it does not: no figure is better than the node's.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reading } from '../integrate.ts'
import { CgroupFile, openAll } from './cgroup-files.ts'
import { guestFault } from './guest-kernel.ts'
import { ticksPerSecond } from './proc-files.ts'

interface Files extends Record<string, CgroupFile> {
  cpu: CgroupFile
  memory: CgroupFile
  /** Of the reader's own container, which is no part of what is measured. */
  ownCpu: CgroupFile
  ownMemory: CgroupFile
}

export class Guest {
  readonly #files: Files
  readonly #ticksPerSecond: number
  /** What the guest had used when this was opened: its boot, and the first moments of the agent. */
  readonly #beforeSeconds: number

  constructor(files: Files, ticks: number) {
    this.#files = files
    this.#ticksPerSecond = ticks
    this.#beforeSeconds = this.#cpuSeconds()
  }

  /** Since this was opened, without the reader's own container. Memory: what the guest could not give back at once. */
  read(): Reading {
    return { cpuSeconds: Math.max(0, this.#cpuSeconds() - this.#beforeSeconds), memoryBytes: this.#memoryBytes() }
  }

  #cpuSeconds(): number {
    return busyTicks(this.#files.cpu.text()) / this.#ticksPerSecond - this.#files.ownCpu.field('usage_usec') / 1e6
  }

  #memoryBytes(): number {
    const text = this.#files.memory.text()
    return Math.max(0, kilobytes(text, 'MemTotal') - kilobytes(text, 'MemAvailable') - this.#files.ownMemory.field('anon'))
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close()
  }
}

/** `root`: of the file system, `/`. `notVisible`: why the pod cannot be seen from here. */
export function openGuest(root: string, ticks: number = ticksPerSecond()): Guest | { notVisible: string } {
  try {
    const text = (path: string): string => readFileSync(join(root, path), 'latin1')
    const fault = guestFault({ commandLine: text('proc/cmdline'), ownStat: text('proc/self/stat'), ticksPerSecond: ticks })
    if (fault !== undefined) return { notVisible: fault }
    const own = join(root, 'sys/fs/cgroup')
    const missing = "a Kata guest has cgroups of version 2, each container's own at this path"
    const files = openAll<Files>({
      cpu: () => new CgroupFile(root, 'proc/stat', 'is /proc mounted?'),
      memory: () => new CgroupFile(root, 'proc/meminfo', 'is /proc mounted?'),
      ownCpu: () => new CgroupFile(own, 'cpu.stat', missing),
      ownMemory: () => new CgroupFile(own, 'memory.stat', missing),
    })
    return new Guest(files, ticks)
  } catch (error) {
    return { notVisible: error instanceof Error ? error.message : String(error) }
  }
}

/** All that ran; not idle, iowait, nor steal, which is time that the host gave to others. guest is in user already. */
function busyTicks(text: string): number {
  const line = /^cpu +((?:\d+ ?)+)$/m.exec(text)?.[1]
  const [user, nice, system, , , irq, softirq] = line?.trim().split(' ').map(Number) ?? []
  if (softirq === undefined) throw new Error('/proc/stat has no line of all CPUs')
  return user! + nice! + system! + irq! + softirq
}

function kilobytes(text: string, name: string): number {
  const found = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`/proc/meminfo has not the line ${name}`)
  return Number(found) * 1024
}
