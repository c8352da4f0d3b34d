/**
 * CPU time of a tree of processes, each second once: pure, over what is seen of the processes at one moment.
 *
 * The kernel tells of each process its own time and the time of the children that it has waited for, with theirs. So a child
 * that ends either shows up in its parent's figure, or nowhere: where nobody waits for it (SIGCHLD ignored), or where its parent
 * ended first and a process outside waits. What was last seen of it is then kept. Which of both it was is decided by how much
 * the figure of a possible parent rose; where that is open, the lower sum is taken. Never over, never backwards.
 */

/** A process as it is named for all its life: a pid alone is used again. */
export type ProcessKey = `${number}@${string}`

export interface ProcessTimes {
  pid: number
  parentPid: number
  /** Since boot, as proc(5) writes it; tells a pid from its next use. */
  startTicks: string
  /** Its own user and system time, all threads, ended ones too. */
  selfTicks: number
  /** That of its children that it has waited for, and of theirs. */
  reapedTicks: number
  /** It has ended and waits to be waited for: it waits for no child any more. */
  ended: boolean
}

interface Tracked {
  pid: number
  ended: boolean
  parent: ProcessKey | undefined
  selfTicks: number
  reapedTicks: number
}

export interface TreeState {
  processes: ReadonlyMap<ProcessKey, Tracked>
  /** Of processes that ended and that no other's figure holds. */
  lostTicks: number
}

export const EMPTY_TREE: TreeState = { processes: new Map(), lostTicks: 0 }

export const keyOf = ({ pid, startTicks }: ProcessTimes): ProcessKey => `${pid}@${startTicks}`

/** All that the tree used so far. */
export function totalTicks({ processes, lostTicks }: TreeState): number {
  return lostTicks + [...processes.values()].reduce((sum, { selfTicks, reapedTicks }) => sum + selfTicks + reapedTicks, 0)
}

/**
 * The tree as it is seen now. `seen` must be true of one moment and hold every tracked process that is still there, also one
 * that has ended and waits for its parent.
 */
export function observe(state: TreeState, seen: readonly ProcessTimes[]): TreeState {
  const keyOfPid = new Map(seen.map((process) => [process.pid, keyOf(process)]))
  const processes = new Map<ProcessKey, Tracked>()
  for (const process of seen) {
    const { pid, parentPid, ended, selfTicks, reapedTicks } = process
    processes.set(keyOf(process), { pid, ended, parent: keyOfPid.get(parentPid), selfTicks, reapedTicks })
  }
  return { processes, lostTicks: state.lostTicks + newlyLost(state.processes, processes) }
}

/** A part of an ended process' time that some process may have waited for. */
interface Claim {
  ticks: number
  /** Only a parent waits for its child; when it has ended too, an ancestor may have taken its place. */
  movable: boolean
}

/**
 * Ticks of processes that ended and that no rise of a remaining process' figure can hold. As much as possible is taken to be
 * held: from the leaves up, first what can be held nowhere else.
 */
function newlyLost(before: ReadonlyMap<ProcessKey, Tracked>, now: ReadonlyMap<ProcessKey, Tracked>): number {
  const claims = new Map<ProcessKey | undefined, Claim[]>()
  const claim = (holder: ProcessKey | undefined, one: Claim): void => void claims.set(holder, [...(claims.get(holder) ?? []), one])
  for (const [key, { parent, selfTicks, reapedTicks }] of before) {
    if (now.has(key)) continue
    const isParentAlive = parent !== undefined && now.get(parent)?.ended === false
    claim(remaining(parent, before, now), { ticks: selfTicks + reapedTicks, movable: !isParentAlive })
  }
  if (claims.size === 0) return 0

  let lostTicks = 0
  for (const key of leavesFirst(before, now)) {
    const rise = now.get(key)!.reapedTicks - before.get(key)!.reapedTicks
    const mine = claims.get(key) ?? []
    const [bound, movable] = [sum(mine.filter((one) => !one.movable)), sum(mine.filter((one) => one.movable))]
    lostTicks += Math.max(0, bound - rise)
    const left = movable - Math.min(movable, Math.max(0, rise - bound))
    if (left > 0) claim(remaining(before.get(key)!.parent, before, now), { ticks: left, movable: true })
  }
  return lostTicks + sum(claims.get(undefined) ?? [])
}

const sum = (claims: readonly Claim[]): number => claims.reduce((all, { ticks }) => all + ticks, 0)

/** The nearest of `key` and its ancestors that is still there. */
function remaining(
  key: ProcessKey | undefined,
  before: ReadonlyMap<ProcessKey, Tracked>,
  now: ReadonlyMap<ProcessKey, Tracked>,
): ProcessKey | undefined {
  let at = key
  while (at !== undefined && !now.has(at)) at = before.get(at)?.parent
  return at
}

/** Processes that were and are there, every one before its parent. */
function leavesFirst(before: ReadonlyMap<ProcessKey, Tracked>, now: ReadonlyMap<ProcessKey, Tracked>): ProcessKey[] {
  const depth = (key: ProcessKey): number => {
    const parent = before.get(key)?.parent
    return parent === undefined ? 0 : 1 + depth(parent)
  }
  const both = [...before.keys()].filter((key) => now.has(key)).map((key) => ({ key, depth: depth(key) }))
  return both.toSorted((one, other) => other.depth - one.depth).map(({ key }) => key)
}
