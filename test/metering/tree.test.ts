import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seeOneMoment } from '../../src/metering/readers/moment.ts'
import { EMPTY_TREE, observe, totalTicks, type ProcessTimes, type TreeState } from '../../src/metering/readers/tree.ts'
import { KernelModel } from './kernel-model.ts'

type Act = (kernel: KernelModel) => void

const choice = fc.nat({ max: 50 })
const seldom = fc.nat({ max: 4 }).map((number) => number === 0)
const burning = fc.tuple(choice, fc.integer({ min: 1, max: 100 })).map(
  ([who, ticks]): Act =>
    (kernel) =>
      kernel.burn(who, ticks),
)
/** The first one seldom: with it all is over. */
const ending = choice.map(
  (who): Act =>
    (kernel) =>
      kernel.exit(who === 0 ? 0 : 1 + (who % Math.max(1, kernel.live.length - 1))),
)
const reaping = choice.map(
  (who): Act =>
    (kernel) =>
      kernel.reap(who),
)
const forking = fc.record({ who: choice, ignoresChildren: seldom, isSubreaper: seldom }).map(
  ({ who, ...kind }): Act =>
    (kernel) =>
      kernel.fork(who, kind),
)
/** Mostly nothing happens while a table is read; undefined: nothing. */
const acts = fc.array(fc.option(fc.oneof(burning, forking, ending, reaping, reaping), { freq: 2, nil: undefined }), {
  minLength: 100,
  maxLength: 300,
  size: 'max',
})

/** Reads all live processes while `next` happens between any two of them. */
function readWhile(kernel: KernelModel, state: TreeState, next: () => void): TreeState {
  const pids = kernel.live.map(({ pid }) => pid)
  const look = (pid: number): ProcessTimes | undefined => {
    next()
    return kernel.look(pid)
  }
  const seen = seeOneMoment(look, pids, state)
  return seen === undefined ? state : observe(state, seen)
}

describe('the CPU time of a tree', () => {
  it('is never over what was burned and never falls, whatever happens between any two looks', () => {
    fc.assert(
      fc.property(acts, fc.array(fc.nat({ max: 6 }), { minLength: 20, maxLength: 40, size: 'max' }), (list, pauses) => {
        const kernel = new KernelModel()
        const coming = list.values()
        const next = (): void => coming.next().value?.(kernel)
        let state = EMPTY_TREE
        for (const pause of pauses) {
          for (let count = 0; count < pause; count++) next()
          const before = totalTicks(state)
          state = readWhile(kernel, state, next)
          assert.ok(totalTicks(state) >= before, `fell from ${before} to ${totalTicks(state)}`)
          assert.ok(totalTicks(state) <= kernel.burned, `${totalTicks(state)} of ${kernel.burned} ticks`)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('is exactly what was burned where every child is waited for, however short it lived', () => {
    const tidy = fc.array(
      fc.oneof(
        burning,
        choice.map(
          (who): Act =>
            (kernel) =>
              kernel.fork(who, {}),
        ),
        reaping,
      ),
      { maxLength: 100 },
    )
    fc.assert(
      fc.property(tidy, fc.nat({ max: 5 }), (list, every) => {
        const kernel = new KernelModel()
        let state = EMPTY_TREE
        for (const [index, act] of list.entries()) {
          act(kernel)
          endYoungest(kernel, index % 3 === 0)
          if (index % (every + 1) === 0) state = readWhile(kernel, state, () => {})
        }
        for (let left = 0; left < 20; left++) kernel.reap(0)
        assert.equal(totalTicks(readWhile(kernel, state, () => {})), kernel.burned)
      }),
      { numRuns: 500 },
    )
  })

  const process = (pid: number, parentPid: number, selfTicks: number, reapedTicks = 0, more: Partial<ProcessTimes> = {}): ProcessTimes => ({
    pid,
    parentPid,
    startTicks: String(pid),
    selfTicks,
    reapedTicks,
    ended: false,
    ...more,
  })
  const after = (...moments: ProcessTimes[][]): number => totalTicks(moments.reduce(observe, EMPTY_TREE))

  it('keeps what was last seen of a child that nobody waited for', () => {
    assert.equal(after([process(10, 1, 5), process(11, 10, 30)], [process(10, 1, 5)]), 35)
  })

  it('keeps a child beside one that was waited for, when their parent rose by one of them', () => {
    assert.equal(after([process(10, 1, 0), process(11, 10, 30), process(12, 10, 50)], [process(10, 1, 0, 50)]), 80)
  })

  it('follows a grandchild that its ended parent left to an ancestor', () => {
    const before = [process(10, 1, 0), process(11, 10, 20), process(12, 11, 30)]
    assert.equal(after(before, [process(10, 1, 0, 55)]), 55)
    const zombie = [process(10, 1, 0, 30), process(11, 10, 20, 0, { ended: true })]
    assert.equal(after(before, zombie, [process(10, 1, 0, 50)]), 50)
  })

  it('tells a pid from its next use', () => {
    const reused = process(11, 10, 7, 0, { startTicks: '99' })
    assert.equal(after([process(10, 1, 0), process(11, 10, 30)], [process(10, 1, 0, 30), reused]), 37)
  })

  it('keeps all when nothing is left', () => {
    assert.equal(after([process(10, 1, 5, 3), process(11, 10, 30)], []), 38)
  })

  it('stands still rather than guess while processes end faster than they are read', () => {
    let reapedTicks = 0
    const look = (): ProcessTimes => process(10, 1, 0, ++reapedTicks)
    assert.equal(seeOneMoment(look, [10], EMPTY_TREE), undefined)
  })
})

/** Ends a process that has no children, never the first, so that no orphan is made. */
function endYoungest(kernel: KernelModel, wanted: boolean): void {
  const parents = new Set(kernel.all.map(({ parent }) => parent))
  const index = kernel.live.findIndex(({ pid, parent }) => parent !== 1 && !parents.has(pid))
  if (wanted && index > 0) kernel.exit(index)
}
