/** Amounts as text with three decimals: sums are exact, however many are added. */

/** Many times the error that a few float operations make. */
const FLOAT_ERROR = 1e-14

/** Rounded down: never more than was used, but that a float is a little less than the number that was meant does not count. */
export function amountOf(value: number): string {
  return textOf(BigInt(Math.floor(value * 1_000 * (1 + FLOAT_ERROR))))
}

export function sumOf(a: string | undefined, b: string): string {
  return textOf(thousandthsOf(a ?? '0.000') + thousandthsOf(b))
}

export function thousandthsOf(amount: string): bigint {
  return BigInt(amount.replace('.', ''))
}

/** `12.340`. */
export function textOf(thousandths: bigint): string {
  const digits = String(thousandths).padStart(4, '0')
  return `${digits.slice(0, -3)}.${digits.slice(-3)}`
}
