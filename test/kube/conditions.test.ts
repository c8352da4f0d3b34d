import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withCondition } from '../../src/kube/conditions.ts'
import type { Condition } from '../../src/kube/objects.ts'

const FIRST_MS = Date.UTC(2026, 0, 1, 8, 0, 0, 999)
const LATER_MS = FIRST_MS + 60_000
const ready: Omit<Condition, 'lastTransitionTime'> = {
  type: 'Ready',
  status: 'False',
  reason: 'Starting',
  message: 'not yet',
  observedGeneration: 1,
}

describe('withCondition', () => {
  test('adds one to none, with the time in whole seconds', () => {
    assert.deepEqual(withCondition(undefined, ready, FIRST_MS), [{ ...ready, lastTransitionTime: '2026-01-01T08:00:00Z' }])
  })

  test('answers the very same list when nothing changed', () => {
    const conditions = withCondition([], ready, FIRST_MS)
    assert.equal(withCondition(conditions, { ...ready }, LATER_MS), conditions)
  })

  for (const change of [{ reason: 'Pulling' }, { message: 'soon' }, { observedGeneration: 2 }]) {
    test(`keeps the transition time when only ${Object.keys(change)[0]} changes`, () => {
      const conditions = withCondition([], ready, FIRST_MS)
      assert.deepEqual(withCondition(conditions, { ...ready, ...change }, LATER_MS), [
        { ...ready, ...change, lastTransitionTime: '2026-01-01T08:00:00Z' },
      ])
    })
  }

  test('moves the transition time when the status flips', () => {
    const conditions = withCondition([], ready, FIRST_MS)
    assert.equal(withCondition(conditions, { ...ready, status: 'True' }, LATER_MS)[0]!.lastTransitionTime, '2026-01-01T08:01:00Z')
  })

  test('keeps the others and the order, and changes no list in place', () => {
    const three = ['A', 'B', 'C'].reduce<Condition[]>((conditions, type) => withCondition(conditions, { ...ready, type }, FIRST_MS), [])
    const before = structuredClone(three)
    const after = withCondition(three, { ...ready, type: 'B', status: 'True' }, LATER_MS)
    assert.deepEqual(
      after.map(({ type, status }) => `${type}=${status}`),
      ['A=False', 'B=True', 'C=False'],
    )
    assert.deepEqual(three, before)
  })
})
