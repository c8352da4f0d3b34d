/**
 * What a status says of usage. Pure. Reports are cumulative and numbered, so nothing is lost or counted twice: of one
 * incarnation the highest reading stands, and a final one for good.
 */
import type { AgentSessionStatus, SessionUsage } from '../../crds/agent-session.ts'
import { rfc3339Millis } from '../../env/clock.ts'
import { amountOf, sumOf } from '../../metering/amount.ts'
import { BYTES_PER_GB } from '../../metering/integrate.ts'
import type { UsageReport } from '../../metering/report.ts'

export interface Reading {
  report: UsageReport
  /** Wall time at which it was read. */
  atMs: number
}

export function usageOf({ report, atMs }: Reading, incarnation: number): SessionUsage {
  const { bridgedSeconds, missedSeconds } = report
  return {
    incarnation,
    sequence: report.sequence,
    final: report.final,
    cpuSeconds: amountOf(report.cpuSeconds),
    memoryPeakGBSeconds: amountOf(report.memoryPeakByteSeconds / BYTES_PER_GB),
    memoryInUseGBSeconds: amountOf(report.memoryInUseByteSeconds / BYTES_PER_GB),
    measuredSeconds: amountOf(report.measuredSeconds),
    ...(bridgedSeconds > 0 ? { bridgedSeconds: amountOf(bridgedSeconds) } : {}),
    ...(missedSeconds > 0 ? { missedSeconds: amountOf(missedSeconds) } : {}),
    source: report.source,
    updatedAt: rfc3339Millis(atMs),
  }
}

/** The one that stands: of the later incarnation, then a final one, then the higher sequence. */
export function laterOf(held: SessionUsage | undefined, read: SessionUsage): SessionUsage {
  if (held === undefined || read.incarnation > held.incarnation) return read
  if (read.incarnation < held.incarnation || held.final) return held
  if (read.sequence > held.sequence) return read
  return read.final && read.sequence === held.sequence ? read : held
}

/**
 * The final usage after a meter's final word. A meter that lost its newest readings may close with an older one than was read
 * before: then the newer figures stand, as final, short by what came after them.
 */
export function finalOf(held: SessionUsage | undefined, last: SessionUsage): SessionUsage {
  const standing = laterOf(held, last)
  return standing.final ? standing : unmeasuredSince(standing, Date.parse(last.updatedAt))
}

/** The last that is known becomes final: nobody measured from its reading until `endedAtMs`. */
export function unmeasuredSince(held: SessionUsage, endedAtMs: number): SessionUsage {
  const missedMs = Math.max(0, endedAtMs - Date.parse(held.updatedAt))
  return { ...held, final: true, missedSeconds: sumOf(held.missedSeconds, amountOf(missedMs / 1000)), updatedAt: rfc3339Millis(endedAtMs) }
}

/** Of an incarnation of which no reading ever came. */
export function unmeasured(incarnation: number, startedAtMs: number, endedAtMs: number): SessionUsage {
  const nothing = amountOf(0)
  return {
    incarnation,
    sequence: 0,
    final: true,
    cpuSeconds: nothing,
    memoryPeakGBSeconds: nothing,
    memoryInUseGBSeconds: nothing,
    measuredSeconds: nothing,
    missedSeconds: amountOf(Math.max(0, endedAtMs - startedAtMs) / 1000),
    updatedAt: rfc3339Millis(endedAtMs),
  }
}

/**
 * For the first status of `incarnation`: what the one before used is added to the sum, once. The incarnation that `usage` names
 * tells whether that was done.
 */
export function carriedInto(
  incarnation: number,
  { usage, usageBefore }: AgentSessionStatus = {},
): Pick<AgentSessionStatus, 'usage' | 'usageBefore'> {
  const before = usageBefore === undefined ? {} : { usageBefore }
  if (usage === undefined) return before
  if (usage.incarnation >= incarnation) return { usage, ...before }
  return {
    usageBefore: {
      incarnations: (usageBefore?.incarnations ?? 0) + 1,
      cpuSeconds: sumOf(usageBefore?.cpuSeconds, usage.cpuSeconds),
      memoryPeakGBSeconds: sumOf(usageBefore?.memoryPeakGBSeconds, usage.memoryPeakGBSeconds),
      memoryInUseGBSeconds: sumOf(usageBefore?.memoryInUseGBSeconds, usage.memoryInUseGBSeconds),
    },
  }
}
