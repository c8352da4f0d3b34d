import type { ProcessTimes } from '../../src/metering/readers/tree.ts'

interface Process {
  pid: number
  startTicks: string
  parent: number
  selfTicks: number
  reapedTicks: number
  ended: boolean
  /** Its children vanish at their end, and no figure holds them. */
  ignoresChildren: boolean
  /** Takes in orphans from below it. */
  isSubreaper: boolean
}

const OUTSIDE = 1
const MOST_AT_ONCE = 12
/** Given in turn, as Linux does: one is used again only when all others were, never within one look at the processes. */
const PIDS = 40

/** Processes as Linux keeps them: who waits for whom, where orphans go, pids that are used again. `burned` is the truth. */
export class KernelModel {
  burned = 0
  readonly #processes = new Map<number, Process>()
  #started = 0
  #lastPid = OUTSIDE

  constructor(leader: Partial<Process> = {}) {
    this.#add(OUTSIDE, leader)
  }

  #add(parent: number, kind: Partial<Process>): void {
    const inTurn = Array.from({ length: PIDS }, (_, index) => ((this.#lastPid - 1 + index) % PIDS) + 2)
    const free = inTurn.find((pid) => !this.#processes.has(pid))
    if (free === undefined || this.#processes.size >= MOST_AT_ONCE) return
    this.#lastPid = free
    const nothing = { selfTicks: 0, reapedTicks: 0, ended: false, ignoresChildren: false, isSubreaper: false }
    this.#processes.set(free, { ...nothing, ...kind, pid: free, parent, startTicks: String(++this.#started) })
  }

  #nth(list: readonly Process[], choice: number): Process | undefined {
    return list[choice % Math.max(1, list.length)]
  }

  get all(): Process[] {
    return [...this.#processes.values()]
  }

  get live(): Process[] {
    return this.all.filter(({ ended }) => !ended)
  }

  look(pid: number): ProcessTimes | undefined {
    const process = this.#processes.get(pid)
    return process && { ...process, parentPid: process.parent }
  }

  burn(choice: number, ticks: number): void {
    const process = this.#nth(this.live, choice)
    if (process === undefined) return
    process.selfTicks += ticks
    this.burned += ticks
  }

  fork(choice: number, kind: Partial<Process>): void {
    const parent = this.#nth(this.live, choice)
    if (parent) this.#add(parent.pid, kind)
  }

  exit(choice: number): void {
    const process = this.#nth(this.live, choice)
    if (process === undefined) return
    const heir = this.#heirOf(process.parent)
    for (const child of this.#processes.values()) {
      if (child.parent !== process.pid) continue
      child.parent = heir
      if (child.ended && heir === OUTSIDE) this.#processes.delete(child.pid)
    }
    process.ended = true
    const parent = this.#processes.get(process.parent)
    if (parent === undefined || parent.ignoresChildren) this.#processes.delete(process.pid)
  }

  #heirOf(pid: number): number {
    const process = this.#processes.get(pid)
    if (process === undefined) return OUTSIDE
    return process.isSubreaper && !process.ended ? pid : this.#heirOf(process.parent)
  }

  /** A parent waits for an ended child. */
  reap(choice: number): void {
    const child = this.#nth(
      this.all.filter(({ ended }) => ended),
      choice,
    )
    const parent = child && this.#processes.get(child.parent)
    if (child === undefined || parent === undefined || parent.ended) return
    parent.reapedTicks += child.selfTicks + child.reapedTicks
    this.#processes.delete(child.pid)
  }
}
