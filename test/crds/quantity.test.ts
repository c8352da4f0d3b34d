import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BYTES_PATTERN, CPU_PATTERN, atMost, thousandths } from '../../src/crds/quantity.ts'

/** Text, and how many thousandths it is. */
const AMOUNTS: [string | number, bigint][] = [
  ['250m', 250n],
  ['2', 2_000n],
  [2, 2_000n],
  ['1.5', 1_500n],
  ['0.001', 1n],
  ['1k', 1_000_000n],
  ['1Ki', 1_024_000n],
  ['1.5Gi', 1_610_612_736_000n],
  ['1.001G', 1_001_000_000_000n],
  ['2T', 2_000_000_000_000_000n],
  ['1Ti', 1_099_511_627_776_000n],
]

test('an amount is exact in thousandths, whatever its spelling', () => {
  for (const [value, expected] of AMOUNTS) assert.equal(thousandths(value), expected, String(value))
})

test('what a manifest may say can be read, and is never nothing', () => {
  for (const pattern of [CPU_PATTERN, BYTES_PATTERN]) {
    const texts = fc.stringMatching(new RegExp(pattern))
    fc.assert(fc.property(texts, (text) => assert.ok(thousandths(text) > 0n, text)))
  }
})

const REFUSED: [string, string[], RegExp][] = [
  ['CPU', ['0', '0m', '0.0', '-1', '+1', '1.5m', '1e3', '1Gi', '', ' 1', '1 ', '1\n', '01', '1.', '.5', 'many'], new RegExp(CPU_PATTERN)],
  ['memory', ['0', '0Mi', '512m', '1.5', '-1Gi', '1GB', '1gi', '1 Gi', '1Ei', '1e9', '', '1\n'], new RegExp(BYTES_PATTERN)],
]
for (const [what, texts, pattern] of REFUSED) {
  test(`no amount of ${what}`, () => {
    for (const text of texts) assert.ok(!pattern.test(text), JSON.stringify(text))
  })
}

test('what is no amount is said so', () => {
  assert.throws(() => thousandths('much'), /much is no quantity: write it as 500m, 2, 512Mi or 1Gi/)
})

test('the smaller of two, in its own spelling', () => {
  assert.equal(atMost('50m', '1'), '50m')
  assert.equal(atMost('256Mi', '128Mi'), '128Mi')
  assert.equal(atMost('1024Mi', '1Gi'), '1024Mi')
})
