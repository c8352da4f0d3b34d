import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { begin, type Sample } from '../../src/metering/integrate.ts'
import { BOOK_V1, BOOK_V2, dollars, priceOf } from '../../src/metering/price.ts'
import { ended, GB, metered, steadily } from './samples.ts'

/** Readings once a second from the moment of the first second's memory on: the pod's start is the first reading. */
function session(parts: readonly { seconds: number; cpu: number; gb: number }[]): Sample[] {
  const samples: Sample[] = [{ atMs: 0, cpuSeconds: 0, memoryBytes: parts[0]!.gb * GB }]
  for (const { seconds, cpu, gb } of parts) {
    const { atMs, cpuSeconds } = samples.at(-1)!
    samples.push(...steadily(atMs, seconds, cpuSeconds, cpu, gb * GB))
  }
  // A step is seen at the second in which it begins.
  return samples.map((sample, index) => ({ ...sample, memoryBytes: samples[Math.min(index + 1, samples.length - 1)]!.memoryBytes }))
}

describe('the price', () => {
  it('of a session of 60 s at 30 % CPU and 2 GB is the published $0.0007625 by book V1', () => {
    const price = priceOf(ended(session([{ seconds: 60, cpu: 0.3, gb: 2 }])), BOOK_V1)
    assert.deepEqual([dollars(price.cpu), dollars(price.memory), dollars(price.total)], ['0.0004475', '0.0003150', '0.0007625'])
  })

  it('of the support agent is the published $0.006703 by book V2', () => {
    const parts = [
      { seconds: 60, cpu: 1, gb: 1 },
      { seconds: 240, cpu: 0, gb: 1 },
      { seconds: 150, cpu: 0, gb: 2 },
      { seconds: 150, cpu: 0, gb: 2.5 },
    ]
    const usage = ended(session(parts))
    assert.equal(usage.memoryInUseByteSeconds, 975 * GB)
    assert.equal(dollars(priceOf(usage, BOOK_V2).total, 6), '0.006703')
    assert.equal(dollars(priceOf({ ...usage, ...millionTimes(usage) }, BOOK_V2).total, 0), '6703')
  })

  it('of memory that was let go differs by book: at the peak for good, or in use for 120 s more', () => {
    const usage = ended(
      session([
        { seconds: 10, cpu: 0, gb: 4 },
        { seconds: 290, cpu: 0, gb: 1 },
      ]),
    )
    assert.equal(usage.memoryPeakByteSeconds, 300 * 4 * GB)
    assert.equal(usage.memoryInUseByteSeconds, (9 + 120) * 4 * GB + 171 * GB)
  })

  it('of a waiting second has no CPU in it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), (busySeconds, waitingSeconds) => {
        const busy = metered(session([{ seconds: busySeconds, cpu: 0.5, gb: 1 }]), begin(0))
        const { atMs, cpuSeconds, memoryBytes } = busy
        const waited = metered(steadily(atMs, waitingSeconds, cpuSeconds, 0, memoryBytes), busy)
        for (const book of [BOOK_V1, BOOK_V2]) assert.equal(priceOf(waited, book).cpu, priceOf(busy, book).cpu)
      }),
      { numRuns: 30 },
    )
  })

  it('is never over the exact one, and less than a tenth of a micro-dollar under it', () => {
    const amount = fc.integer({ min: 0, max: 1e9 })
    fc.assert(
      fc.property(amount, amount, (cpuMillis, gbMillis) => {
        const usage = { cpuSeconds: cpuMillis / 1000, memoryPeakByteSeconds: Math.round((gbMillis / 1000) * GB), memoryInUseByteSeconds: 0 }
        const exact =
          (BigInt(cpuMillis) * 895_000n * BigInt(GB) + BigInt(usage.memoryPeakByteSeconds) * 94_500n * 1000n) / (3_600_000n * BigInt(GB))
        assert.equal(priceOf(usage, BOOK_V1).total, exact)
      }),
    )
  })

  it('is written with as many decimals as asked for, rounded down', () => {
    const written = [7, 6, 2, 0].map((decimals) => dollars(123_456_789n, decimals))
    assert.deepEqual(written, ['12.3456789', '12.345678', '12.34', '12'])
    assert.equal(dollars(1n), '0.0000001')
    assert.equal(dollars(9_999_999n, 0), '0')
  })
})

function millionTimes(usage: { cpuSeconds: number; memoryInUseByteSeconds: number }): typeof usage {
  return { cpuSeconds: usage.cpuSeconds * 1e6, memoryInUseByteSeconds: usage.memoryInUseByteSeconds * 1e6 }
}
