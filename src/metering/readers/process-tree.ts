/**
 * Adapter: reads from /proc what a pod's processes use, where no cgroup holds them together (a laptop).
 *
 * CPU: every tick of a process that is there or was waited for by one that is there, once. Not seen are children that nobody
 * waits for, from the last reading until their end; a cgroup sees those too. Memory: each process' share of what it shares.
 */
import { z } from 'zod'
import type { Reading } from '../integrate.ts'
import { seeOneMoment } from './moment.ts'
import { bootId, ticksPerSecond, timesOf } from './proc-files.ts'
import { TreeMemory, type MemoryReading } from './tree-memory.ts'
import { EMPTY_TREE, observe, totalTicks, type ProcessKey, type TreeState } from './tree.ts'

export type TreeReading = Omit<Reading, 'peakBytes'> & MemoryReading

const key = z.custom<ProcessKey>((value) => typeof value === 'string' && /^\d+@\d+$/.test(value))
const ticks = z.int().min(0)
const frozenTree = z.strictObject({
  version: z.literal(1),
  bootId: z.string(),
  lostTicks: ticks,
  processes: z.array(z.strictObject({ key, pid: ticks, ended: z.boolean(), parent: key.optional(), selfTicks: ticks, reapedTicks: ticks })),
})

export class ProcessTree {
  #state: TreeState
  readonly #ticksPerSecond = ticksPerSecond()
  readonly #memory = new TreeMemory()

  /** @param frozen what freeze gave in a process before this one */
  constructor(frozen?: string) {
    this.#state = frozen === undefined ? EMPTY_TREE : thaw(frozen)
  }

  /**
   * What the pod used so far. `pids`: its processes as they are known now; those known before are followed without. Memory is
   * the dear part: with `memory: false` the last figure stands.
   *
   * @throws {Error} when /proc cannot be read: then nothing changed, and the next reading makes up for it
   */
  read(pids: Iterable<number>, { memory = true }: { memory?: boolean } = {}): TreeReading {
    const seen = seeOneMoment(timesOf, pids, this.#state)
    if (seen !== undefined) this.#state = observe(this.#state, seen) // else: the next reading makes up for it
    if (memory) this.#memory.read(this.#alive())
    return { cpuSeconds: totalTicks(this.#state) / this.#ticksPerSecond, ...this.#memory.last }
  }

  #alive(): number[] {
    return [...this.#state.processes.values()].filter(({ ended }) => !ended).map(({ pid }) => pid)
  }

  /** One line of JSON, for the process after this one. */
  freeze(): string {
    const processes = [...this.#state.processes].map(([name, process]) => ({ key: name, ...process }))
    return JSON.stringify({ version: 1, bootId: bootId(), lostTicks: this.#state.lostTicks, processes })
  }
}

/** After a reboot no process is left: they stand as they were last seen. */
function thaw(text: string): TreeState {
  const frozen = frozenTree.parse(JSON.parse(text))
  const processes = new Map(frozen.processes.map(({ key: name, parent, ...rest }) => [name, { parent, ...rest }]))
  const state: TreeState = { processes, lostTicks: frozen.lostTicks }
  return frozen.bootId === bootId() ? state : { processes: new Map(), lostTicks: totalTicks(state) }
}
