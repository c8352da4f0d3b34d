import type { AgentSessionStatus } from '../../crds/agent-session.ts'

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

/** `12.340`, as the status has it. */
export function inText(amount: bigint): string {
  const digits = amount.toString().padStart(4, '0')
  return `${digits.slice(0, -3)}.${digits.slice(-3)}`
}

export function usedInText(used: Used): Record<keyof Used, string> {
  return {
    cpuSeconds: inText(used.cpuSeconds),
    memoryPeakGBSeconds: inText(used.memoryPeakGBSeconds),
    memoryInUseGBSeconds: inText(used.memoryInUseGBSeconds),
  }
}

function thousandths(part: Record<keyof Used, string>): Used {
  const read = (text: string): bigint => BigInt(text.replace('.', ''))
  return {
    cpuSeconds: read(part.cpuSeconds),
    memoryPeakGBSeconds: read(part.memoryPeakGBSeconds),
    memoryInUseGBSeconds: read(part.memoryInUseGBSeconds),
  }
}
