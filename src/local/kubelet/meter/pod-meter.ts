import { sleep } from '../../../env/clock.ts'
import type { Env } from '../../../env/env.ts'
import { add, begin, end, toReport, type MeterState, type Reading } from '../../../metering/integrate.ts'
import type { UsageReport } from '../../../metering/report.ts'
import type { HostWatcher } from '../process-host.ts'
import { readKept, writeKept } from './kept.ts'

/** CPU of the known processes: what an agent that exits by itself may have used since is not seen, so this is short. */
const READ_EVERY_MS = 250
/** New processes are looked for, memory is read, and all is written down: the dear parts. */
const WHOLE_EVERY_MS = 1_000
/** Memory rises fast while an agent starts: until then it is read each time. */
const YOUNG_MS = 3_000
/** A report that nobody acknowledged stays so long after its pod's object is gone. */
export const KEEP_MS = 24 * 3_600_000

/** Counters of one pod's processes; ProcessTree is one. */
export interface Tree {
  read(pids: Iterable<number>, options?: { memory?: boolean }): Reading
  freeze(): string
}

/** Where states outlive the process. */
export interface MeterStore {
  load(): Map<string, string>
  /** Whole or not at all. */
  save(podUID: string, text: string): Promise<void>
  remove(podUID: string): Promise<void>
}

export interface MeterPorts {
  /** `frozen`: what an earlier one gave by `freeze`. */
  openTree(frozen?: string): Tree
  /** The live processes of every pod. */
  processes(): ReadonlyMap<string, readonly number[]>
  store: MeterStore
}

interface Metered {
  state: MeterState
  tree: Tree
  /** Its first process was started here. */
  started: boolean
  /** Known from an earlier run of the kubelet only: nobody has measured since. */
  kept: boolean
  /** Wall time since when the pod's object is gone. */
  goneAtMs?: number | undefined
  saving: Promise<void>
  isSaving: boolean
}

/**
 * Measures the pods of a process kubelet: from each one's first process on, four times a second, and at its end. A successor of a
 * killed kubelet goes on from what was written down a second before at most. Reports stay until they are acknowledged.
 */
export class PodMeter implements HostWatcher {
  readonly #env: Env
  readonly #ports: MeterPorts
  readonly #pods = new Map<string, Metered>()
  #warned = false

  constructor(env: Env, ports: MeterPorts) {
    this.#env = env
    this.#ports = ports
    for (const [podUID, text] of ports.store.load()) this.#takeUp(podUID, text)
  }

  /** Reads until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#env
    let wholeAtMs = clock.monotonic()
    for (; !signal.aborted; await sleep(clock, READ_EVERY_MS, signal)) {
      const isWhole = clock.monotonic() >= wholeAtMs
      if (isWhole) wholeAtMs = clock.monotonic() + WHOLE_EVERY_MS - READ_EVERY_MS / 2
      try {
        this.#readAll(isWhole)
      } catch (error) {
        log.error({ err: error }, 'the processes of pods could not be read; the next reading makes up for it')
      }
    }
  }

  /** The pod is being made. It has used nothing until `begin`. */
  expect(podUID: string): void {
    const tree = this.#ports.openTree()
    this.#pods.set(podUID, {
      state: begin(this.#env.clock.monotonic()),
      tree,
      started: false,
      kept: false,
      saving: Promise.resolve(),
      isSaving: false,
    })
  }

  /** Its first process was started. */
  begin(podUID: string, pid: number): void {
    if (!this.#pods.has(podUID)) this.expect(podUID)
    const pod = this.#pods.get(podUID)!
    Object.assign(pod, { state: begin(this.#env.clock.monotonic()), started: true })
    this.#read(podUID, pod, [pid], true)
    void this.#save(podUID, pod)
  }

  signalled(podUID: string, pids: readonly number[]): void {
    const pod = this.#pods.get(podUID)
    if (pod === undefined || pod.state.final) return
    // Of an earlier run's pod without a process nobody can say how long it lived: its gap is missed, not bridged.
    const isMeasurable = pod.kept ? pids.length > 0 : pod.started
    if (isMeasurable) this.#read(podUID, pod, pids, true)
  }

  over(podUID: string): void {
    void this.end(podUID)
  }

  /** Nothing of the pod runs any more. Resolves when the final report is written down. Idempotent. */
  async end(podUID: string): Promise<void> {
    const pod = this.#pods.get(podUID)
    if (pod === undefined) return
    if (!pod.state.final) {
      const missedSeconds = pod.kept ? (this.#env.clock.monotonic() - pod.state.atMs) / 1000 : 0
      pod.state = end(pod.state, undefined, missedSeconds)
      await pod.saving
      void this.#save(podUID, pod)
    }
    await pod.saving
  }

  /** The pod's object is gone; what was not acknowledged stays for a day. */
  async gone(podUID: string): Promise<void> {
    const pod = this.#pods.get(podUID)
    if (pod === undefined || pod.goneAtMs !== undefined) return
    await this.end(podUID)
    pod.goneAtMs = this.#env.clock.now()
    await this.#save(podUID, pod)
  }

  report(podUID: string): UsageReport | undefined {
    const pod = this.#pods.get(podUID)
    return pod && toReport(podUID, 'ProcessTree', pod.state)
  }

  /** Its final report was written down elsewhere: it is forgotten. `live`: there is none yet. */
  async acknowledge(podUID: string): Promise<'forgotten' | 'unknown' | 'live'> {
    const pod = this.#pods.get(podUID)
    if (pod === undefined) return 'unknown'
    if (!pod.state.final) return 'live'
    await this.#forget(podUID, pod)
    return 'forgotten'
  }

  /** Pods of earlier runs whose end, or whose object's, is not written down. */
  leftovers(): string[] {
    return [...this.#pods].filter(([, { kept, goneAtMs }]) => kept && goneAtMs === undefined).map(([podUID]) => podUID)
  }

  #readAll(isWhole: boolean): void {
    const live = [...this.#pods].filter(([, { state, started, kept }]) => started && !kept && !state.final)
    const processes = isWhole && live.length > 0 ? this.#ports.processes() : undefined
    for (const [podUID, pod] of live) {
      const isYoung = this.#env.clock.monotonic() - pod.state.beganAtMs < YOUNG_MS
      this.#read(podUID, pod, processes?.get(podUID) ?? [], isWhole || isYoung)
      if (isWhole && !pod.isSaving) void this.#save(podUID, pod)
    }
    if (isWhole) this.#forgetOld()
  }

  /** What cannot be read now counts at the next reading: all counters are cumulative. */
  #read(podUID: string, pod: Metered, pids: readonly number[], memory: boolean): void {
    try {
      const { cpuSeconds, memoryBytes } = pod.tree.read(pids, { memory })
      pod.state = add(pod.state, { atMs: this.#env.clock.monotonic(), cpuSeconds, memoryBytes })
      pod.kept = false
    } catch (error) {
      this.#env.log.warn({ podUID, err: error }, 'a pod was not measured; the next reading makes up for it')
    }
  }

  #forgetOld(): void {
    const beforeMs = this.#env.clock.now() - KEEP_MS
    for (const [podUID, pod] of this.#pods) if (pod.goneAtMs !== undefined && pod.goneAtMs <= beforeMs) void this.#forget(podUID, pod)
  }

  async #forget(podUID: string, pod: Metered): Promise<void> {
    this.#pods.delete(podUID)
    await pod.saving
    await this.#ports.store.remove(podUID)
  }

  /** A disk that takes nothing costs a warning: the meter goes on in memory. */
  #save(podUID: string, pod: Metered): Promise<void> {
    pod.isSaving = true
    pod.saving = pod.saving
      .then(() => (this.#pods.get(podUID) === pod ? this.#ports.store.save(podUID, this.#textOf(pod)) : undefined))
      .then(() => void (this.#warned = false))
      .catch((error: unknown) => {
        if (!this.#warned)
          this.#env.log.warn({ podUID, err: error }, 'usage could not be written down: a kill of this process now would lose it')
        this.#warned = true
      })
      .finally(() => (pod.isSaving = false))
    return pod.saving
  }

  #textOf({ state, tree, goneAtMs }: Metered): string {
    return writeKept({ state, tree: state.final ? undefined : tree.freeze(), goneAtMs }, this.#now())
  }

  #takeUp(podUID: string, text: string): void {
    try {
      const { state, tree, goneAtMs } = readKept(text, this.#now())
      const metered = { state, tree: this.#ports.openTree(tree), started: true, kept: true, goneAtMs }
      this.#pods.set(podUID, { ...metered, saving: Promise.resolve(), isSaving: false })
    } catch (error) {
      this.#env.log.warn({ podUID, err: error }, 'what an earlier run had measured of a pod cannot be read')
    }
  }

  #now(): { wallMs: number; monotonicMs: number } {
    return { wallMs: this.#env.clock.now(), monotonicMs: this.#env.clock.monotonic() }
  }
}
