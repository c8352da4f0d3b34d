/** Amounts in Kubernetes' own notation: what a manifest may say, and which of two is more. */
import { z } from 'zod'

/** `250m`, `2`, `1.5`. Never 0, which Kubernetes takes for no limit. */
export const CPU_PATTERN = '^([1-9][0-9]{0,6}m|[1-9][0-9]{0,3}(\\.[0-9]{1,3})?|0\\.[0-9]{0,2}[1-9])$'
/** `512Mi`, `1.5Gi`, `2G`, or plain bytes. `m`, thousandths of a byte, is always a slip. */
export const BYTES_PATTERN = '^([1-9][0-9]{0,14}|[1-9][0-9]{0,8}(\\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)|0\\.[0-9]{0,2}[1-9](M|G|T|Mi|Gi|Ti))$'

export type Quantity = string | number

/** A field that takes `cpu: 2` and `cpu: 500m` alike, as Kubernetes' own do. The pattern is of the text. */
function quantity(pattern: string): z.ZodType<Quantity, Quantity> {
  return z.union([z.int(), z.string()]).meta({ 'x-kubernetes-int-or-string': true, pattern, minimum: 1 })
}

export const cpu = (): z.ZodType<Quantity, Quantity> => quantity(CPU_PATTERN)
export const bytes = (): z.ZodType<Quantity, Quantity> => quantity(BYTES_PATTERN)

const TIMES: Record<string, bigint> = { k: 3n, M: 6n, G: 9n, T: 12n }

/** In thousandths, exactly: of a CPU, of a byte. Throws for what neither pattern takes. */
export function thousandths(value: Quantity): bigint {
  const [, whole, fraction = '', suffix = ''] = /^([0-9]+)(?:\.([0-9]{1,3}))?(m|[kMGT]|[KMGT]i)?$/.exec(String(value)) ?? []
  if (whole === undefined) throw new Error(`${value} is no quantity: write it as 500m, 2, 512Mi or 1Gi`)
  const parts = BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'))
  if (suffix === 'm') return parts / 1000n
  if (suffix.endsWith('i')) return parts * 1024n ** (TIMES[suffix === 'Ki' ? 'k' : suffix[0]!]! / 3n)
  return suffix === '' ? parts : parts * 10n ** TIMES[suffix]!
}

/** The smaller of two. */
export function atMost(value: Quantity, limit: Quantity): Quantity {
  return thousandths(value) <= thousandths(limit) ? value : limit
}
