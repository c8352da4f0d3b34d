import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../kit/eventually.ts'

const ROOT = '/sys/fs/cgroup'
/** With version 1 of cgroups they say which processors and memory a group has; a new one has none. */
const CPUSET = ['cpuset.cpus', 'cpuset.mems']
const EMPTY_WITHIN_MS = 20_000

/** A group of the name in every hierarchy, for the kubelet to put its pods into. */
export function makeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, name)
    mkdirSync(group, { recursive: true })
    for (const file of CPUSET.filter((each) => existsSync(join(group, each))))
      if (readFileSync(join(group, file), 'utf8').trim() === '') writeFileSync(join(group, file), readFileSync(join(hierarchy, file)))
    if (hierarchy === ROOT) handDown([hierarchy, group])
  }
}

/** Removes the groups of the name with all below, once their processes, which are ending, have ended. */
export async function removeCgroups(name: string): Promise<void> {
  const groups = hierarchies().map((hierarchy) => join(hierarchy, name))
  await eventually(() => !groups.some(isBusy), { withinMs: EMPTY_WITHIN_MS, everyMs: 20, because: `the processes of ${name} have ended` })
  for (const group of groups) removeBelow(group)
}

/** With version 2 a group has the controllers that the one above hands down. */
function handDown(groups: string[]): void {
  for (const group of groups) {
    const controllers = readFileSync(join(group, 'cgroup.controllers'), 'utf8').trim().split(' ')
    writeFileSync(join(group, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '))
  }
}

function hierarchies(): string[] {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return [ROOT]
  return readdirSync(ROOT).map((name) => join(ROOT, name))
}

function isBusy(group: string): boolean {
  if (!existsSync(group)) return false
  if (readFileSync(join(group, 'cgroup.procs'), 'utf8') !== '') {
    thaw(group)
    return true
  }
  return groupsIn(group).some(isBusy)
}

/** What is frozen does not even die. */
function thaw(group: string): void {
  const state = join(group, 'freezer.state')
  if (existsSync(state)) writeFileSync(state, 'THAWED')
}

function removeBelow(group: string): void {
  if (!existsSync(group)) return
  for (const inner of groupsIn(group)) removeBelow(inner)
  rmdirSync(group)
}

function groupsIn(group: string): string[] {
  return readdirSync(group, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(group, entry.name))
}
