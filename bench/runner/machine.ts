/** Adapter: what a reader must know of the machine. No names of hosts, users or folders. */
import { availableParallelism, cpus, totalmem } from 'node:os'

export interface MachineFacts {
  cores: number
  processor: string
  memoryGiB: number
  node: string
  system: string
}

export function machineFacts(): MachineFacts {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    system: `${process.platform} ${process.arch}`,
  }
}
