/**
 * A meter's state as text, so that a meter that starts again goes on. Monotonic clocks begin anew with each process, so the
 * text keeps wall time, and thawing maps it to the new process' clock. What passed in between is a gap like any other.
 */
import { z } from 'zod'
import type { MeterState } from './integrate.ts'

/** The two clocks of a process at one moment. */
export interface Moment {
  wallMs: number
  monotonicMs: number
}

const amount = z.number().min(0)
const frozenState = z.strictObject({
  version: z.literal(1),
  wallMs: z.number(),
  monotonicMs: z.number(),
  state: z.strictObject({
    sequence: z.int().min(0),
    final: z.boolean(),
    beganAtMs: z.number(),
    atMs: z.number(),
    memoryBytes: amount,
    peakBytes: amount,
    window: z.array(z.strictObject({ atMs: z.number(), bytes: amount })),
    cpuSeconds: amount,
    memoryPeakByteSeconds: amount,
    memoryInUseByteSeconds: amount,
    bridgedSeconds: amount,
    missedSeconds: amount,
  }),
})

/** More reports than a meter gives between two writes of its state: what was given and forgotten keeps the lower number. */
const FORGOTTEN_SEQUENCES = 100

/** JSON of one line. */
export function freeze(state: MeterState, now: Moment): string {
  return JSON.stringify({ version: 1, wallMs: now.wallMs, monotonicMs: now.monotonicMs, state })
}

/**
 * The state that was frozen, on the clock of this process. A wall clock that was set back in between makes no negative time;
 * one that was set forward makes the gap longer, and with it its memory.
 *
 * @throws {Error} when the text is none that freeze gave, whole
 */
export function thaw(text: string, now: Moment): MeterState {
  const { wallMs, monotonicMs, state } = parse(text)
  const passedMs = Math.max(0, now.wallMs - wallMs)
  const shiftMs = now.monotonicMs - passedMs - monotonicMs
  return {
    ...state,
    sequence: state.final ? state.sequence : state.sequence + FORGOTTEN_SEQUENCES,
    beganAtMs: state.beganAtMs + shiftMs,
    atMs: state.atMs + shiftMs,
    window: state.window.map(({ atMs, bytes }) => ({ atMs: atMs + shiftMs, bytes })),
  }
}

function parse(text: string): z.output<typeof frozenState> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new Error('the kept state of a meter is cut short or no JSON: the pod is measured anew', { cause })
  }
  const parsed = frozenState.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Error(`the kept state of a meter cannot be read (${z.prettifyError(parsed.error)}): the pod is measured anew`)
}
