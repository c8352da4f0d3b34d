import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { CgroupV1Directories } from '../../src/metering/readers/cgroup-v1.ts'
import { eventually } from '../kit/eventually.ts'
import { needsRoot } from '../kit/ring.ts'

export interface RealGroup {
  version: 1 | 2
  /** Of version 2: the same one. */
  directories: CgroupV1Directories
  add(pid: number): void
  /** Its processes are killed. */
  remove(): Promise<void>
}

/** A group of one test, of the version that this machine's memory controller is of. */
export function realGroup(t: TestContext): RealGroup | undefined {
  if (!needsRoot(t)) return undefined
  const mounts = mountsOf(readFileSync('/proc/self/mounts', 'utf8'))
  const name = `carrel-test-${process.pid}`
  if (mounts.cpuacct !== undefined && mounts.memory !== undefined) {
    return made(t, 1, { cpuacct: join(mounts.cpuacct, name), memory: join(mounts.memory, name) })
  }
  if (mounts.unified === undefined) throw new Error('this machine has no cgroups mounted, which this test reads')
  writeFileSync(join(mounts.unified, 'cgroup.subtree_control'), '+memory')
  const directory = join(mounts.unified, name)
  return made(t, 2, { cpuacct: directory, memory: directory })
}

function made(t: TestContext, version: 1 | 2, directories: CgroupV1Directories): RealGroup {
  const all = [...new Set(Object.values(directories) as string[])]
  for (const directory of all) mkdirSync(directory)
  const left = new Set(all)
  const remove = async (): Promise<void> => {
    for (const directory of left) {
      await eventually(() => rmdirSync(directory) === undefined, { withinMs: 10_000, because: 'the killed processes leave their cgroup' })
      left.delete(directory)
    }
  }
  t.after(remove)
  return {
    version,
    directories,
    remove,
    add: (pid) => all.forEach((directory) => writeFileSync(join(directory, 'cgroup.procs'), `${pid}`)),
  }
}

function mountsOf(text: string): { cpuacct?: string; memory?: string; unified?: string } {
  const mounts = text.split('\n').map((line) => line.split(' '))
  const of = (controller: string): string | undefined =>
    mounts.find(([, , type, options]) => type === 'cgroup' && options!.split(',').includes(controller))?.[1]
  const unified = mounts.find(([, , type]) => type === 'cgroup2')?.[1]
  const [cpuacct, memory] = [of('cpuacct'), of('memory')]
  return { ...(cpuacct ? { cpuacct } : {}), ...(memory ? { memory } : {}), ...(unified ? { unified } : {}) }
}
