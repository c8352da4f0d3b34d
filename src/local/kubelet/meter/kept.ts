import { z } from 'zod'
import { freeze, thaw, type Moment } from '../../../metering/frozen.ts'
import type { MeterState } from '../../../metering/integrate.ts'

/** What a meter keeps of one pod over its own end. */
export interface Kept {
  state: MeterState
  /** Frozen; undefined once nothing of the pod runs. */
  tree: string | undefined
  /** Wall time since when the pod's object is gone. */
  goneAtMs: number | undefined
}

const shape = z.strictObject({ version: z.literal(1), meter: z.string(), tree: z.string().optional(), goneAtMs: z.number().optional() })

export function writeKept({ state, tree, goneAtMs }: Kept, now: Moment): string {
  return JSON.stringify({ version: 1, meter: freeze(state, now), tree, goneAtMs })
}

/** @throws {Error} when the text is none that `writeKept` gave, whole */
export function readKept(text: string, now: Moment): Kept {
  const { meter, tree, goneAtMs } = shape.parse(JSON.parse(text))
  return { state: thaw(meter, now), tree, goneAtMs }
}
