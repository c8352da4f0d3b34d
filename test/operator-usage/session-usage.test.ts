import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SessionUsage } from '../../src/crds/agent-session.ts'
import { amountOf, sumOf } from '../../src/metering/amount.ts'
import { carriedInto, finalOf, laterOf, unmeasuredSince, usageOf } from '../../src/operator/usage/session-usage.ts'
import type { UsageReport } from '../../src/metering/report.ts'

const GB = 2 ** 30
const AT_MS = Date.parse('2026-11-24T08:00:00Z')

function reported(changes: Partial<UsageReport> = {}): UsageReport {
  return {
    podUID: 'uid',
    sequence: 7,
    final: false,
    cpuSeconds: 1.2345,
    memoryPeakByteSeconds: 3 * GB,
    memoryInUseByteSeconds: 2.5 * GB,
    memoryBytes: GB,
    peakBytes: GB,
    measuredSeconds: 10,
    bridgedSeconds: 0,
    missedSeconds: 0,
    source: 'ProcessTree',
    ...changes,
  }
}

function usage(changes: Partial<UsageReport> = {}, incarnation = 1): SessionUsage {
  return usageOf({ report: reported(changes), atMs: AT_MS }, incarnation)
}

test('a report becomes text with three decimals, never more than was used', () => {
  assert.deepEqual(usage(), {
    incarnation: 1,
    sequence: 7,
    final: false,
    cpuSeconds: '1.234',
    memoryPeakGBSeconds: '3.000',
    memoryInUseGBSeconds: '2.500',
    measuredSeconds: '10.000',
    source: 'ProcessTree',
    updatedAt: '2026-11-24T08:00:00.000Z',
  })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (thousandths) => {
      const amount = amountOf(thousandths / 1_000)
      assert.equal(BigInt(amount.replace('.', '')), BigInt(thousandths), 'what has three decimals keeps them')
    }),
  )
})

test('sums are exact, however many and however great', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 10n ** 18n })), (all) => {
      const text = (thousandths: bigint): string => `${thousandths / 1_000n}.${String(thousandths % 1_000n).padStart(3, '0')}`
      const summed = all.reduce<string | undefined>((sum, one) => sumOf(sum, text(one)), undefined)
      assert.equal(summed ?? '0.000', text(all.reduce((sum, one) => sum + one, 0n)))
    }),
  )
})

test('in whatever order readings come, and however often, the highest of the latest incarnation stands, and a final one for good', () => {
  const readings = [
    usage({ sequence: 1 }),
    usage({ sequence: 5 }),
    usage({ sequence: 6, final: true }),
    usage({ sequence: 1 }, 2),
    usage({ sequence: 3 }, 2),
  ]
  fc.assert(
    fc.property(fc.shuffledSubarray([...readings, ...readings], { minLength: 10 }), (order) => {
      const standing = order.reduce<SessionUsage | undefined>(laterOf, undefined)
      assert.deepEqual([standing?.incarnation, standing?.sequence], [2, 3])
      const ofFirst = order.filter(({ incarnation }) => incarnation === 1).reduce<SessionUsage | undefined>(laterOf, undefined)
      assert.deepEqual([ofFirst?.sequence, ofFirst?.final], [6, true])
    }),
  )
})

test('a meter that closes with less than it had said lowers nothing, and the rest is marked', () => {
  const held = usage({ sequence: 50, cpuSeconds: 9 })
  const closed = finalOf(held, { ...usage({ sequence: 20, cpuSeconds: 4, final: true }), updatedAt: '2026-11-24T08:00:30.000Z' })
  assert.deepEqual([closed.cpuSeconds, closed.final, closed.missedSeconds, closed.sequence], ['9.000', true, '30.000', 50])
})

test('the last that is known becomes final with the time that is missing, added to what was missing before', () => {
  const closed = unmeasuredSince(usage({ missedSeconds: 2 }), AT_MS + 10_500)
  assert.deepEqual([closed.final, closed.missedSeconds, closed.cpuSeconds], [true, '12.500', '1.234'])
})

test('the incarnation before is added to the sum once, whoever begins the next one how often', () => {
  const first = { usage: usage({ cpuSeconds: 1.5 }, 1) }
  const second = carriedInto(2, first)
  assert.deepEqual(second, {
    usageBefore: { incarnations: 1, cpuSeconds: '1.500', memoryPeakGBSeconds: '3.000', memoryInUseGBSeconds: '2.500' },
  })
  assert.deepEqual(carriedInto(2, second), second)
  const third = carriedInto(3, { ...second, usage: usage({ cpuSeconds: 0.75 }, 2) })
  assert.deepEqual([third.usageBefore?.incarnations, third.usageBefore?.cpuSeconds, third.usage], [2, '2.250', undefined])
  assert.deepEqual(carriedInto(4, third), third, 'an incarnation that never had a pod adds nothing')
})
