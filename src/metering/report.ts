import { z } from 'zod'

const amount = z.number().min(0)

/**
 * What a meter answers about one pod: cumulative since the pod began, so that a reader keeps the report of the highest
 * sequence and forgets the others. The meter beside an agent and the meter of a node give the same.
 */
export const usageReport = z.object({
  podUID: z.string().min(1).max(64),
  /** Raised with every reading; kept over a restart of the meter. */
  sequence: z.int().min(0),
  /** The pod is over and its last counters were read: nothing will be added. */
  final: z.boolean(),
  /** CPU time used, its ended children's included. */
  cpuSeconds: amount,
  /** Each second at the peak so far, at least 128 MB (contract 5, price book V1). */
  memoryPeakByteSeconds: amount,
  /** Each second at the most of the last 120 s, at least 128 MB (price book V2). */
  memoryInUseByteSeconds: amount,
  /** Now, and the most so far. */
  memoryBytes: amount,
  peakBytes: amount,
  measuredSeconds: amount,
  /** Of the measured time: gaps between two readings, filled from both ends. */
  bridgedSeconds: amount,
  /** Before the end, nobody measured for this long: the figures are short by at most that and one interval. */
  missedSeconds: amount,
  /** `Guest`: seen from inside a microVM, so trusted as far as its kernel is, and never billed. */
  source: z.enum(['ProcessTree', 'CgroupV2', 'CgroupV1', 'Guest']),
})

export type UsageReport = z.output<typeof usageReport>
