/**
 * Adapter: reads a cgroup of version 2. kernel.org, admin-guide/cgroup-v2. On the host, a microVM's pod slice holds all of it:
 * vCPU threads, VMM and what it served itself.
 */
import type { Reading } from '../integrate.ts'
import { CgroupFile, CgroupGone, openAll, openIfThere } from './cgroup-files.ts'

const NO_GROUP = 'the cgroup is gone, or the directory is none of version 2'
const NO_MEMORY = "the memory controller is off here: enable it in the parents' cgroup.subtree_control"

interface Files extends Record<string, CgroupFile | undefined> {
  cpu: CgroupFile
  memory: CgroupFile
  breakdown: CgroupFile
  /** Linux 5.19 and later. */
  peak: CgroupFile | undefined
}

export class CgroupV2 {
  readonly #files: Files

  /** @throws {Error} that says which file is not there and why */
  constructor(directory: string) {
    this.#files = openAll<Files>({
      cpu: () => new CgroupFile(directory, 'cpu.stat', NO_GROUP),
      memory: () => new CgroupFile(directory, 'memory.current', NO_MEMORY),
      breakdown: () => new CgroupFile(directory, 'memory.stat', NO_MEMORY),
      peak: () => openIfThere(directory, 'memory.peak'),
    })
  }

  /** CPU to the microsecond; memory as kubelet's working set: without file pages that nobody touched lately. 'gone' after the end. */
  read(): Reading | 'gone' {
    const { cpu, memory, breakdown, peak } = this.#files
    try {
      return {
        cpuSeconds: cpu.field('usage_usec') / 1e6,
        memoryBytes: Math.max(0, memory.amount() - breakdown.field('inactive_file')),
        ...(peak === undefined ? {} : { peakBytes: peak.amount() }),
      }
    } catch (error) {
      if (error instanceof CgroupGone) return 'gone'
      throw error
    }
  }

  close(): void {
    for (const file of Object.values(this.#files)) file?.close()
  }
}
