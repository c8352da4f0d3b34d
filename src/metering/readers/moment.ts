/**
 * A table of processes that is true of one moment, though its entries are read one after the other. Without it, a child read
 * alive and then, waited for, in its parent's figure would be counted twice, and a bill cannot be taken back.
 */
import { keyOf, type ProcessKey, type ProcessTimes, type TreeState } from './tree.ts'

/** One process as it is now; undefined when there is none of that pid. Throws when that cannot be told. */
export type Look = (pid: number) => ProcessTimes | undefined

const MOST_PASSES = 10

/**
 * The processes of `pids`, and of `state`, that are there; undefined when they end faster than they can be read. One pass is
 * enough when nobody was waited for since `state`. Otherwise two that agree: between them lies a moment of which both are true.
 */
export function seeOneMoment(look: Look, pids: Iterable<number>, state: TreeState): ProcessTimes[] | undefined {
  const all = new Set([...pids, ...[...state.processes.values()].map(({ pid }) => pid)])
  let pass = passOver(look, all)
  if (isQuiet(pass, state)) return [...pass.values()]
  for (let count = 1; count < MOST_PASSES; count++) {
    const next = passOver(look, all)
    if (agree(pass, next)) return [...next.values()]
    pass = next
  }
  return undefined
}

function passOver(look: Look, pids: Iterable<number>): Map<ProcessKey, ProcessTimes> {
  const pass = new Map<ProcessKey, ProcessTimes>()
  for (const pid of pids) {
    const process = look(pid)
    if (process !== undefined) pass.set(keyOf(process), process)
  }
  return pass
}

function isQuiet(pass: ReadonlyMap<ProcessKey, ProcessTimes>, { processes }: TreeState): boolean {
  for (const key of processes.keys()) if (!pass.has(key)) return false
  for (const [key, { reapedTicks }] of pass) if (reapedTicks !== (processes.get(key)?.reapedTicks ?? 0)) return false
  return true
}

function agree(one: ReadonlyMap<ProcessKey, ProcessTimes>, other: ReadonlyMap<ProcessKey, ProcessTimes>): boolean {
  if (one.size !== other.size) return false
  for (const [key, { reapedTicks }] of other) if (one.get(key)?.reapedTicks !== reapedTicks) return false
  return true
}
