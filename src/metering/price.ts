/**
 * What usage costs under a price book. Exact: whole numbers all the way, rounded down once, to the tenth of a micro-dollar.
 * Contract 5.
 */
import { BYTES_PER_GB } from './integrate.ts'
import type { UsageReport } from './report.ts'

export interface PriceBook {
  name: string
  /** Tenths of a micro-dollar (1e-7 USD) for an hour of one vCPU in use. */
  vCPUHour: number
  /** The same for one GB over an hour. */
  gbHour: number
  /** By which of the report's two integrals memory is paid. */
  memory: 'Peak' | 'InUse'
}

/** Amazon Bedrock AgentCore's first: $0.0895 and $0.00945, memory at the peak so far. */
export const BOOK_V1: PriceBook = { name: 'AgentCore V1', vCPUHour: 895_000, gbHour: 94_500, memory: 'Peak' }
/** And its second: $0.1276 and $0.0169, memory in use, reclaimed after 120 s. */
export const BOOK_V2: PriceBook = { name: 'AgentCore V2', vCPUHour: 1_276_000, gbHour: 169_000, memory: 'InUse' }

/** Tenths of a micro-dollar. The total is rounded on its own, so it may be one more than the sum of its parts. */
export interface Price {
  cpu: bigint
  memory: bigint
  total: bigint
}

type Usage = Pick<UsageReport, 'cpuSeconds' | 'memoryPeakByteSeconds' | 'memoryInUseByteSeconds'>

const HOUR_SECONDS = 3600n
const MICROS = 1_000_000n
const GB = BigInt(BYTES_PER_GB)

/** The price of usage: of one session, or of the sum of many. CPU counts by the microsecond, memory by the byte-second. */
export function priceOf(usage: Usage, book: PriceBook): Price {
  const byteSeconds = book.memory === 'Peak' ? usage.memoryPeakByteSeconds : usage.memoryInUseByteSeconds
  const cpu = BigInt(Math.round(usage.cpuSeconds * Number(MICROS))) * BigInt(book.vCPUHour) * GB
  const memory = BigInt(Math.round(byteSeconds)) * BigInt(book.gbHour) * MICROS
  const unit = HOUR_SECONDS * MICROS * GB
  return { cpu: cpu / unit, memory: memory / unit, total: (cpu + memory) / unit }
}

/** `0.0007625`: USD, rounded down to 0 to 7 decimals. */
export function dollars(tenthsOfMicros: bigint, decimals = 7): string {
  const digits = tenthsOfMicros.toString().padStart(8, '0')
  const [whole, fraction] = [digits.slice(0, -7), digits.slice(-7, digits.length - 7 + decimals)]
  return decimals === 0 ? whole : `${whole}.${fraction}`
}
