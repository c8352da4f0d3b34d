import type { AgentSessionStatus } from '../../crds/agent-session.ts'
import { textOf, thousandthsOf } from '../../metering/amount.ts'

/** Thousandths, exact: thousands of sessions add up without a rounding. */
export interface Used {
  cpuSeconds: bigint
  memoryPeakGBSeconds: bigint
  memoryInUseGBSeconds: bigint
}

export const NOTHING: Used = { cpuSeconds: 0n, memoryPeakGBSeconds: 0n, memoryInUseGBSeconds: 0n }

/** Of all incarnations of a session so far; undefined: nothing was measured yet. */
export function usedBy({ usage, usageBefore }: Pick<AgentSessionStatus, 'usage' | 'usageBefore'>): Used | undefined {
  if (usage === undefined && usageBefore === undefined) return undefined
  return sum([usage, usageBefore].map((part) => (part === undefined ? NOTHING : thousandths(part))))
}

export function sum(parts: readonly Used[]): Used {
  return parts.reduce(
    (all, part) => ({
      cpuSeconds: all.cpuSeconds + part.cpuSeconds,
      memoryPeakGBSeconds: all.memoryPeakGBSeconds + part.memoryPeakGBSeconds,
      memoryInUseGBSeconds: all.memoryInUseGBSeconds + part.memoryInUseGBSeconds,
    }),
    NOTHING,
  )
}

export function usedInText(used: Used): Record<keyof Used, string> {
  return {
    cpuSeconds: textOf(used.cpuSeconds),
    memoryPeakGBSeconds: textOf(used.memoryPeakGBSeconds),
    memoryInUseGBSeconds: textOf(used.memoryInUseGBSeconds),
  }
}

function thousandths(part: Record<keyof Used, string>): Used {
  return {
    cpuSeconds: thousandthsOf(part.cpuSeconds),
    memoryPeakGBSeconds: thousandthsOf(part.memoryPeakGBSeconds),
    memoryInUseGBSeconds: thousandthsOf(part.memoryInUseGBSeconds),
  }
}
