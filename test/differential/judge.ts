/** Plays a trace on two API servers and says where they part. */
import { isDeepStrictEqual } from 'node:util'
import { comparable, type Comparable } from './comparable.ts'
import type { Trace } from './operation.ts'
import { play } from './play.ts'
import type { Side } from './side.ts'

export interface Verdict {
  /** Indexes of the operations whose outcomes differ. */
  differing: number[]
  /** By side, one for each operation. */
  outcomes: [Comparable[], Comparable[]]
}

export async function judge(trace: Trace, sides: readonly [Side, Side], namespace: string): Promise<Verdict> {
  const [first, second] = await Promise.all(sides.map((side) => play(trace, side, namespace)))
  const outcomes: Verdict['outcomes'] = [comparable(first!), comparable(second!)]
  const differing = trace.operations.map((_, index) => index).filter((index) => !isDeepStrictEqual(outcomes[0][index], outcomes[1][index]))
  return { differing, outcomes }
}
