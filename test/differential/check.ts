/** Compares two API servers over many random traces; a trace on which they part is shrunk to the operations that matter. */
import fc from 'fast-check'
import { traces } from './generate.ts'
import { judge } from './judge.ts'
import type { KindName } from './kinds.ts'
import type { Trace } from './operation.ts'
import type { Side } from './side.ts'
import { NAMESPACE } from './sides.ts'
import { tableOf } from './table.ts'

export interface CheckOptions {
  traces: number
  seed: number
  /** Of a failed check: plays its shrunk trace at once. */
  path?: string
  /** Kinds to choose from. Default: all. */
  kinds?: readonly KindName[]
  /** Told after every trace. */
  onTrace?: (count: number) => void
}

export type Checked =
  | { differs: false; traces: number; operations: number }
  | { differs: true; traces: number; trace: Trace; seed: number; path: string; report: string }

/** Apart from errors of the playing itself. */
class Difference extends Error {}

/** Plays until the first difference. Throws when a server does not answer at all. */
export async function check(sides: readonly [Side, Side], options: CheckOptions): Promise<Checked> {
  let count = 0
  let operations = 0
  const property = fc.asyncProperty(traces(options.kinds), async (trace) => {
    count += 1
    operations += trace.operations.length
    const { differing } = await judge(trace, sides, NAMESPACE)
    options.onTrace?.(count)
    if (differing.length > 0) throw new Difference()
  })
  const { seed, path } = options
  const details = await fc.check(property, { numRuns: options.traces, seed, ...(path === undefined ? {} : { path, endOnFailure: true }) })
  if (!details.failed) return { differs: false, traces: count, operations }
  if (!(details.errorInstance instanceof Difference)) throw details.errorInstance
  return difference(details.counterexample![0], sides, { seed: details.seed, path: details.counterexamplePath!, traces: details.numRuns })
}

async function difference(
  trace: Trace,
  sides: readonly [Side, Side],
  found: { seed: number; path: string; traces: number },
): Promise<Checked> {
  const verdict = await judge(trace, sides, NAMESPACE)
  const table = tableOf(trace, verdict, [sides[0].name, sides[1].name])
  const again = `npm run differential -- --seed ${found.seed} --path ${found.path}`
  const unsteady = verdict.differing.length === 0 ? 'played once more it did not differ: the order of something is left to chance\n' : ''
  return {
    differs: true,
    ...found,
    trace,
    report: `${sides[0].name} and ${sides[1].name} differ, by seed ${found.seed}:\n${unsteady}${table}\nAgain: ${again}`,
  }
}
