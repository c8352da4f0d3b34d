/**
 * What a pod used, from readings of its counters: CPU-seconds, and memory byte-seconds under both price books' rules
 * (contract 5). Pure: states in, states out, no clock.
 *
 * Promises: the figures only grow; they are never over what was used, as long as memory does not dip below both of two
 * neighbouring readings between them; a state that is frozen and thawed goes on as if nothing had happened. CPU is a
 * kernel counter, so no burst between two readings is lost. Where a choice is open, the lower figure is taken.
 */
import type { UsageReport } from './report.ts'
import { addToWindow, mostSince, type WindowEntry } from './window.ts'

/** 1 GB is 2^30 bytes and 1 MB 2^20: AWS' GB-seconds elsewhere, and the lower bill where a page leaves it open. */
export const BYTES_PER_GB = 2 ** 30
/** Every measured second counts at least 128 MB. */
export const FLOOR_BYTES = 128 * 2 ** 20
export const INTERVAL_MS = 1000
/** A longer time between two readings is a gap: bridged, and counted as such. */
export const GAP_MS = 2 * INTERVAL_MS
/** Memory that is no longer used stays on the bill for this long (price book V2). */
export const RECLAIM_MS = 120_000

/** What a reader of counters gives. */
export interface Reading {
  /** Cumulative since the pod began, its ended processes' included. */
  cpuSeconds: number
  /** In use now. */
  memoryBytes: number
  /** The most so far, by the kernel's own mark, where there is one. */
  peakBytes?: number
}

export interface Sample extends Reading {
  /** Monotonic. */
  atMs: number
}

/** Cumulative figures of one pod. Opaque to its users: begin, add, end, toReport. */
export interface MeterState {
  sequence: number
  final: boolean
  beganAtMs: number
  /** Of the latest reading, or of the beginning. */
  atMs: number
  /** 0 before the first reading. */
  memoryBytes: number
  peakBytes: number
  /** What may still be the most of the last 120 s, oldest and greatest first. */
  window: readonly WindowEntry[]
  cpuSeconds: number
  memoryPeakByteSeconds: number
  memoryInUseByteSeconds: number
  bridgedSeconds: number
  missedSeconds: number
}

/** The state of a pod that begins at `atMs` (monotonic) with nothing used. */
export function begin(atMs: number): MeterState {
  return {
    sequence: 0,
    final: false,
    beganAtMs: atMs,
    atMs,
    memoryBytes: 0,
    peakBytes: 0,
    window: [],
    cpuSeconds: 0,
    memoryPeakByteSeconds: 0,
    memoryInUseByteSeconds: 0,
    bridgedSeconds: 0,
    missedSeconds: 0,
  }
}

/**
 * One reading more. The time since the one before counts at the least that memory was in it: the peak of its beginning
 * (V1); the most that stayed within 120 s through all of it, or the lower of both ends (V2). A counter that goes
 * backwards adds nothing until it has passed its old value. A final state stays as it is.
 *
 * @throws {RangeError} for an amount that is no finite number from 0 up: a reader is at fault, and the state is kept
 */
export function add(state: MeterState, sample: Sample): MeterState {
  demandAmounts(sample)
  if (state.final) return state
  const atMs = Math.max(state.atMs, sample.atMs)
  const peakBytes = Math.max(state.peakBytes, sample.memoryBytes, sample.peakBytes ?? 0)
  // The kernel's mark rose at an unknown moment since the reading before: it counts from now on, and for 120 s since then.
  const marked = peakBytes > Math.max(state.peakBytes, sample.memoryBytes)
  const window = marked ? addToWindow(state.window, { atMs: state.atMs, bytes: peakBytes }) : state.window
  return {
    ...elapse(state, atMs, Math.min(state.memoryBytes, sample.memoryBytes)),
    sequence: state.sequence + 1,
    memoryBytes: sample.memoryBytes,
    peakBytes,
    window: addToWindow(window, { atMs, bytes: sample.memoryBytes }).filter((entry) => entry.atMs >= atMs - RECLAIM_MS),
    cpuSeconds: Math.max(state.cpuSeconds, sample.cpuSeconds),
  }
}

function demandAmounts({ atMs, cpuSeconds, memoryBytes, peakBytes = 0 }: Sample): void {
  for (const amount of [cpuSeconds, memoryBytes, peakBytes]) {
    if (!(amount >= 0 && amount < Infinity)) throw new RangeError(`a reading of ${amount} is no amount: nothing was added`)
  }
  if (!Number.isFinite(atMs)) throw new RangeError(`a reading at ${atMs} has no time: nothing was added`)
}

/** The state at `atMs`, where memory was at least `leastBytes` all the time since. */
function elapse(state: MeterState, atMs: number, leastBytes: number): MeterState {
  const seconds = (atMs - state.atMs) / 1000
  const inUseBytes = Math.max(FLOOR_BYTES, leastBytes, mostSince(state.window, atMs - RECLAIM_MS))
  return {
    ...state,
    atMs,
    memoryPeakByteSeconds: state.memoryPeakByteSeconds + seconds * Math.max(FLOOR_BYTES, state.peakBytes),
    memoryInUseByteSeconds: state.memoryInUseByteSeconds + seconds * inUseBytes,
    bridgedSeconds: state.bridgedSeconds + (seconds * 1000 > GAP_MS ? seconds : 0),
  }
}

/**
 * The final state, after a last reading if there was one. `missedSeconds`: how long before the pod's end nobody measured.
 * Ending what has ended changes nothing.
 */
export function end(state: MeterState, sample: Sample | undefined, missedSeconds: number): MeterState {
  if (state.final) return state
  const last = sample === undefined ? state : add(state, sample)
  return { ...missed(last, missedSeconds), sequence: last.sequence + 1, final: true }
}

/** Marks `seconds` before the end that nobody measured: they add nothing to the figures. */
export function missed(state: MeterState, seconds: number): MeterState {
  return state.final ? state : { ...state, missedSeconds: state.missedSeconds + Math.max(0, seconds) }
}

/** What a meter answers about the pod. */
export function toReport(podUID: string, source: UsageReport['source'], state: MeterState): UsageReport {
  return {
    podUID,
    sequence: state.sequence,
    final: state.final,
    cpuSeconds: state.cpuSeconds,
    memoryPeakByteSeconds: state.memoryPeakByteSeconds,
    memoryInUseByteSeconds: state.memoryInUseByteSeconds,
    memoryBytes: state.memoryBytes,
    peakBytes: state.peakBytes,
    measuredSeconds: (state.atMs - state.beganAtMs) / 1000,
    bridgedSeconds: state.bridgedSeconds,
    missedSeconds: state.missedSeconds,
    source,
  }
}
