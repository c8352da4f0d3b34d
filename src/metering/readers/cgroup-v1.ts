/** Adapter: reads a cgroup of version 1, where each controller has a directory of its own. kernel.org, admin-guide/cgroup-v1. */
import type { Reading } from '../integrate.ts'
import { CgroupFile, CgroupGone, openAll } from './cgroup-files.ts'

interface Files extends Record<string, CgroupFile> {
  cpu: CgroupFile
  memory: CgroupFile
  breakdown: CgroupFile
  peak: CgroupFile
}

export interface CgroupV1Directories {
  /** Below the cpuacct controller's mount. */
  cpuacct: string
  /** Below the memory controller's. */
  memory: string
}

export class CgroupV1 {
  readonly #files: Files

  /** @throws {Error} that says which file is not there and why */
  constructor({ cpuacct, memory }: CgroupV1Directories) {
    const missing = (controller: string): string => `the cgroup is gone, or the directory is none of version 1's ${controller} controller`
    this.#files = openAll<Files>({
      cpu: () => new CgroupFile(cpuacct, 'cpuacct.usage', missing('cpuacct')),
      memory: () => new CgroupFile(memory, 'memory.usage_in_bytes', missing('memory')),
      breakdown: () => new CgroupFile(memory, 'memory.stat', missing('memory')),
      peak: () => new CgroupFile(memory, 'memory.max_usage_in_bytes', missing('memory')),
    })
  }

  /** CPU to the nanosecond; memory as kubelet's working set: without file pages that nobody touched lately. 'gone' after the end. */
  read(): Reading | 'gone' {
    const { cpu, memory, breakdown, peak } = this.#files
    try {
      return {
        cpuSeconds: cpu.amount() / 1e9,
        memoryBytes: Math.max(0, memory.amount() - breakdown.field('total_inactive_file')),
        peakBytes: peak.amount(),
      }
    } catch (error) {
      if (error instanceof CgroupGone) return 'gone'
      throw error
    }
  }

  close(): void {
    for (const file of Object.values(this.#files)) file.close()
  }
}
