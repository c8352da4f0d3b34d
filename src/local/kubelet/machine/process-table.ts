/** Adapter: reads /proc to find every process of a pod. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { POD_HOME_VARIABLE, POD_UID_VARIABLE } from './environment.ts'
import { podsDirectory } from './places.ts'

interface ProcessEntry {
  pid: number
  parentPid: number
  groupId: number
  sessionId: number
}

/** Live processes, without those that have ended and wait to be reaped. proc(5). */
function readProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readText(`/proc/${name}/stat`)
    if (stat === undefined) continue
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name in parentheses may hold anything
    const [state, parent, group, session] = fields
    if (state === 'Z' || state === 'X') continue
    entries.push({ pid: Number(name), parentPid: Number(parent), groupId: Number(group), sessionId: Number(session) })
  }
  return entries
}

/**
 * Whose pod each process is, by UID. A process belongs to a pod when its environment says so; when it works in the pod's
 * folder; when it is in the session of the pod's first process; or when its parent belongs, or a process of its session does.
 * So neither a double fork, nor setsid, nor an emptied environment alone hides one.
 */
export function processesByPod(home: string, leaders: ReadonlyMap<number, string>): Map<string, number[]> {
  const table = readProcesses().filter(({ pid }) => pid !== process.pid)
  const owners = new Map<number, string>()
  for (const entry of table) {
    const owner = leaders.get(entry.pid) ?? leaders.get(entry.sessionId) ?? leaders.get(entry.groupId) ?? markOf(entry.pid, home)
    if (owner !== undefined) owners.set(entry.pid, owner)
  }
  for (let found = true; found;) found = inherit(table, owners)
  const byPod = new Map<string, number[]>()
  for (const [pid, owner] of owners) byPod.set(owner, [...(byPod.get(owner) ?? []), pid])
  return byPod
}

/** One generation of kin. True when there was one more. */
function inherit(table: readonly ProcessEntry[], owners: Map<number, string>): boolean {
  let found = false
  for (const { pid, parentPid, sessionId } of table) {
    if (owners.has(pid)) continue
    const owner = owners.get(parentPid) ?? owners.get(sessionId) // a session is named after the process that made it
    if (owner === undefined) continue
    owners.set(pid, owner)
    found = true
  }
  return found
}

/** The pod that a process itself names, by its environment at exec or by its working directory. */
function markOf(pid: number, home: string): string | undefined {
  const environment = readText(`/proc/${pid}/environ`)
  const fromEnvironment = environment === undefined ? undefined : podOfEnvironment(environment, home)
  return fromEnvironment ?? podOfDirectory(pid, home)
}

function podOfEnvironment(environment: string, home: string): string | undefined {
  if (!environment.includes(POD_UID_VARIABLE)) return undefined
  const variables = environment.split('\0')
  if (!variables.includes(`${POD_HOME_VARIABLE}=${home}`)) return undefined
  return variables.find((variable) => variable.startsWith(`${POD_UID_VARIABLE}=`))?.slice(POD_UID_VARIABLE.length + 1)
}

function podOfDirectory(pid: number, home: string): string | undefined {
  const pods = `${podsDirectory(home)}/`
  try {
    const directory = readlinkSync(`/proc/${pid}/cwd`)
    return directory.startsWith(pods) ? directory.slice(pods.length).split(/[/ ]/)[0] : undefined
  } catch {
    return undefined
  }
}

/** Entries vanish, and other users' are closed: then they say nothing. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
