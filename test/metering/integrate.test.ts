import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { freeze, thaw } from '../../src/metering/frozen.ts'
import { add, begin, end, FLOOR_BYTES, missed, toReport, type MeterState, type Sample } from '../../src/metering/integrate.ts'
import { usageReport } from '../../src/metering/report.ts'
import { GB, metered, steadily } from './samples.ts'

const CLOSE = 1e-6
const RUNS = { numRuns: 300 }

interface Step {
  gapMs: number
  cpuSeconds: number
  memoryBytes: number
  peakBytes: number | undefined
}

/** Readings at uneven times, with gaps; CPU that only grows, at most 4 vCPUs; now and then a kernel's mark above what was read. */
const steps = fc.array(
  fc.record({
    gapMs: fc.oneof(fc.integer({ min: 1, max: 1500 }), fc.integer({ min: 1500, max: 200_000 })),
    cpuSeconds: fc.double({ min: 0, max: 4, noNaN: true }),
    memoryBytes: fc.integer({ min: 0, max: 4 * GB }),
    peakBytes: fc.option(fc.integer({ min: 0, max: GB }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 60 },
)

function samplesOf(list: readonly Step[]): Sample[] {
  let [atMs, cpuSeconds, mark] = [0, 0, 0]
  return list.map((step) => {
    atMs += step.gapMs
    cpuSeconds += (step.cpuSeconds * step.gapMs) / 1000
    mark = Math.max(mark, step.memoryBytes + (step.peakBytes ?? 0))
    return { atMs, cpuSeconds, memoryBytes: step.memoryBytes, ...(step.peakBytes === undefined ? {} : { peakBytes: mark }) }
  })
}

/** What a bill by rule would be of memory that is `bytes[i]` from reading i until reading i+1: in steps of 10 ms, to be slow and plain. */
function trueIntegrals(samples: readonly Sample[]): { peak: number; inUse: number } {
  const stepMs = 10
  const end = samples.at(-1)!.atMs
  let [peak, inUse] = [0, 0]
  for (let atMs = samples[0]!.atMs; atMs < end; atMs += stepMs) {
    const past = samples.filter((sample) => sample.atMs <= atMs)
    // A value holds until the next reading, so it was in use within the window when that reading is.
    const recent = past.filter((_, index) => (past[index + 1]?.atMs ?? Infinity) > atMs - 120_000)
    const most = (list: readonly Sample[]): number => Math.max(FLOOR_BYTES, ...list.map(({ memoryBytes }) => memoryBytes))
    peak += (most(past) * stepMs) / 1000
    inUse += (most(recent) * stepMs) / 1000
  }
  const before = (FLOOR_BYTES * samples[0]!.atMs) / 1000
  return { peak: peak + before, inUse: inUse + before }
}

const figures = ({ cpuSeconds, memoryPeakByteSeconds, memoryInUseByteSeconds, bridgedSeconds }: MeterState): number[] => [
  cpuSeconds,
  memoryPeakByteSeconds,
  memoryInUseByteSeconds,
  bridgedSeconds,
]

describe('the integration', () => {
  it('adds up over any point at which it is split, frozen and thawed by a process with other clocks', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.integer({ min: -1e9, max: 1e9 }), (list, cut, clockMs) => {
        const samples = samplesOf(list)
        const at = cut % (samples.length + 1)
        const atMs = samples[at - 1]?.atMs ?? 0
        const text = freeze(metered(samples.slice(0, at)), { wallMs: 5e11, monotonicMs: atMs })
        const thawed = thaw(text, { wallMs: 5e11, monotonicMs: atMs + clockMs })
        const moved = samples.slice(at).map((sample) => ({ ...sample, atMs: sample.atMs + clockMs }))
        assert.deepEqual(figures(metered(moved, thawed)), figures(metered(samples)))
      }),
      RUNS,
    )
  })

  it('only grows, in each figure and in its sequence', () => {
    fc.assert(
      fc.property(steps, (list) => {
        let state = begin(0)
        for (const sample of samplesOf(list)) {
          const next = add(state, sample)
          for (const [index, figure] of figures(next).entries()) assert.ok(figure >= figures(state)[index]!)
          assert.equal(next.sequence, state.sequence + 1)
          state = next
        }
      }),
      RUNS,
    )
  })

  it('is never over what steps of memory truly cost, and short of it by less than the steps between readings', () => {
    fc.assert(
      fc.property(
        steps.filter((list) => list.length <= 8),
        (list) => {
          const samples = samplesOf(list.map((step) => ({ ...step, gapMs: Math.ceil(step.gapMs / 10) * 10, peakBytes: undefined })))
          const [truth, state] = [trueIntegrals(samples), metered(samples)]
          assert.ok(state.memoryPeakByteSeconds <= truth.peak * (1 + CLOSE), `peak ${state.memoryPeakByteSeconds} of ${truth.peak}`)
          assert.ok(state.memoryInUseByteSeconds <= truth.inUse * (1 + CLOSE), `in use ${state.memoryInUseByteSeconds} of ${truth.inUse}`)
          assert.ok(Math.abs(state.memoryPeakByteSeconds - truth.peak) <= truth.peak * CLOSE, 'the peak rule is exact for such steps')
        },
      ),
      { numRuns: 40 },
    )
  })

  it('pays memory for at least 128 MB all the time, and by the peak never less than by use', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const samples = samplesOf(list)
        const state = metered(samples)
        const least = (FLOOR_BYTES * samples.at(-1)!.atMs) / 1000
        assert.ok(state.memoryInUseByteSeconds >= least * (1 - CLOSE))
        assert.ok(state.memoryPeakByteSeconds >= state.memoryInUseByteSeconds * (1 - CLOSE))
        assert.ok(state.peakBytes >= Math.max(...samples.map(({ peakBytes = 0, memoryBytes }) => Math.max(peakBytes, memoryBytes))))
      }),
      RUNS,
    )
  })

  it('counts a waiting second as no CPU', () => {
    const busy = metered(steadily(0, 5, 0, 1, GB))
    const waited = metered(steadily(5000, 600, 5, 0, GB), busy)
    assert.equal(waited.cpuSeconds, busy.cpuSeconds)
    assert.equal(toReport('a', 'ProcessTree', waited).measuredSeconds, 605)
  })

  it('counts CPU of before the first reading, start-up', () => {
    assert.equal(add(begin(0), { atMs: 250, cpuSeconds: 0.7, memoryBytes: 0 }).cpuSeconds, 0.7)
  })

  it('lets a counter that goes backwards lower nothing, and add nothing until it has caught up', () => {
    const counters = [1, 5, 2, 4, 5, 6].map((cpuSeconds, index) => ({ atMs: index * 1000, cpuSeconds, memoryBytes: 0 }))
    assert.deepEqual(
      counters.map((_, index) => metered(counters.slice(0, index + 1)).cpuSeconds),
      [1, 5, 5, 5, 5, 6],
    )
  })

  it('keeps memory that was let go on the bill for 120 s in use, for good by the peak', () => {
    const samples = [...steadily(0, 10, 0, 0, 2 * GB), ...steadily(10_000, 300, 0, 0, GB)]
    const state = metered(samples)
    // The first second is unknown: at the floor. Then 2 GB until 120 s after its last reading, by whole steps.
    assert.equal(state.memoryInUseByteSeconds, FLOOR_BYTES + (9 + 120) * 2 * GB + 180 * GB)
    assert.equal(state.memoryPeakByteSeconds, FLOOR_BYTES + 309 * 2 * GB)
  })

  it("takes the kernel's mark of a peak between two readings, from the reading that tells of it", () => {
    const state = metered([
      { atMs: 1000, cpuSeconds: 0, memoryBytes: GB, peakBytes: GB },
      { atMs: 2000, cpuSeconds: 0, memoryBytes: GB, peakBytes: 3 * GB },
      ...steadily(2000, 200, 0, 0, GB).map((sample) => ({ ...sample, peakBytes: 3 * GB })),
    ])
    assert.equal(state.peakBytes, 3 * GB)
    assert.equal(state.memoryPeakByteSeconds, FLOOR_BYTES + GB + 200 * 3 * GB)
    assert.equal(state.memoryInUseByteSeconds, FLOOR_BYTES + GB + 119 * 3 * GB + 81 * GB)
  })

  it('bridges a gap from both ends with the lower, and says how long', () => {
    const state = metered([
      { atMs: 1000, cpuSeconds: 1, memoryBytes: 3 * GB },
      { atMs: 301_000, cpuSeconds: 31, memoryBytes: GB },
      { atMs: 303_000, cpuSeconds: 31, memoryBytes: GB },
    ])
    assert.equal(state.bridgedSeconds, 300)
    assert.equal(state.cpuSeconds, 31)
    assert.equal(state.memoryInUseByteSeconds, FLOOR_BYTES + 300 * GB + 2 * GB)
  })

  it('ends once: nothing is added after, and an end that nobody measured is marked', () => {
    const over = end(metered(steadily(0, 3, 0, 1, GB)), { atMs: 3500, cpuSeconds: 3.5, memoryBytes: GB }, 7)
    assert.deepEqual([over.final, over.cpuSeconds, over.missedSeconds, over.sequence], [true, 3.5, 7, 5])
    assert.equal(add(over, { atMs: 9000, cpuSeconds: 9, memoryBytes: GB }), over)
    assert.equal(end(over, undefined, 3), over)
    assert.equal(missed(over, 3), over)
    assert.equal(end(begin(0), undefined, -1).missedSeconds, 0)
  })

  it('gives a report that its reader accepts', () => {
    fc.assert(
      fc.property(steps, (list) => {
        usageReport.parse(toReport('5f1c', 'CgroupV2', end(metered(samplesOf(list)), undefined, 0)))
      }),
      { numRuns: 50 },
    )
  })

  it('refuses a reading that is no amount, and keeps what it had', () => {
    for (const bad of [NaN, -1, Infinity]) {
      assert.throws(() => add(begin(0), { atMs: 1, cpuSeconds: bad, memoryBytes: 0 }), RangeError)
      assert.throws(() => add(begin(0), { atMs: 1, cpuSeconds: 0, memoryBytes: bad }), RangeError)
      assert.throws(() => add(begin(0), { atMs: 1, cpuSeconds: 0, memoryBytes: 0, peakBytes: bad }), RangeError)
    }
    assert.throws(() => add(begin(0), { atMs: NaN, cpuSeconds: 0, memoryBytes: 0 }), /has no time/)
  })

  it('holds few entries for 120 s of memory that only falls, however often it is read', () => {
    const falling = Array.from({ length: 12_000 }, (_, index) => ({ atMs: index * 10, cpuSeconds: 0, memoryBytes: GB - index }))
    assert.ok(metered(falling).window.length <= 250)
  })
})

describe('a frozen state', () => {
  const state = metered(steadily(0, 3, 0, 1, GB))
  const then = { wallMs: 1_000_000, monotonicMs: 3000 }

  it('counts the time without a meter as a gap, on the new process clock', () => {
    const thawed = thaw(freeze(state, then), { wallMs: 1_010_000, monotonicMs: 50 })
    const next = add(thawed, { atMs: 50, cpuSeconds: 4, memoryBytes: GB })
    assert.equal(toReport('a', 'ProcessTree', next).measuredSeconds, 13)
    assert.equal(next.bridgedSeconds, 10)
  })

  it('makes no negative time of a wall clock that was set back', () => {
    const thawed = thaw(freeze(state, then), { wallMs: 0, monotonicMs: 50 })
    assert.equal(toReport('a', 'ProcessTree', add(thawed, { atMs: 50, cpuSeconds: 4, memoryBytes: GB })).measuredSeconds, 3)
  })

  it('numbers its reports above all that were given after it was written, and keeps a final one as it is', () => {
    const given = metered(steadily(3000, 50, 3, 1, GB), state)
    const thawed = thaw(freeze(state, then), then)
    assert.ok(thawed.sequence > given.sequence)
    const over = end(state, undefined, 0)
    assert.deepEqual(thaw(freeze(over, then), then), over)
  })

  it('is refused when cut short or changed, with what that means', () => {
    const text = freeze(state, then)
    for (const bad of [
      '',
      text.slice(0, -1),
      text.replace('"version":1', '"version":2'),
      text.replace('"cpuSeconds":3', '"cpuSeconds":-3'),
    ]) {
      assert.throws(() => thaw(bad, then), /state of a meter .*measured anew/s)
    }
  })
})
