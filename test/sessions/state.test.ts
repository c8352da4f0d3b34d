import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { END_REASONS } from '../../src/sessions/end-reason.ts'
import { deadlineReached, isStopped, mayReopen, nextDeadlineMs, stateOf, type SessionRecord } from '../../src/sessions/state.ts'

const instant = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }).map((ms) => new Date(ms).toISOString())
const record: fc.Arbitrary<SessionRecord> = fc.record({
  spec: fc.record({ incarnation: fc.integer({ min: 1, max: 5 }), stopThrough: fc.integer({ min: 0, max: 5 }) }),
  status: fc.record(
    {
      incarnation: fc.integer({ min: 1, max: 5 }),
      phase: fc.constantFrom('Pending' as const, 'Running' as const, 'Terminating' as const, 'Terminated' as const),
      podName: fc.constant('pod-1'),
      podUID: fc.uuid(),
      startedAt: instant,
      expiresAt: instant,
      startTimeoutSeconds: fc.integer({ min: 1, max: 600 }),
      endReason: fc.constantFrom(...END_REASONS),
      endedAt: instant,
    },
    { requiredKeys: [] },
  ),
})

test('every record is in exactly one state, and a live state always names its pod', () => {
  fc.assert(
    fc.property(record, (session) => {
      const state = stateOf(session)
      if (state.phase === 'Pending' || state.phase === 'Running') {
        assert.equal(state.podUID, session.status?.podUID)
        assert.equal(state.phase, session.status?.phase)
      }
      if (state.phase === 'Terminated') assert.ok(session.spec.incarnation <= state.incarnation)
    }),
  )
})

test('only a session that is over at its own incarnation may be reopened, and reopening it makes it Unopened', () => {
  fc.assert(
    fc.property(record, (session) => {
      if (!mayReopen(session)) return
      const reopened = { ...session, spec: { ...session.spec, incarnation: session.spec.incarnation + 1 } }
      assert.deepEqual(stateOf(reopened), { phase: 'Unopened', incarnation: session.spec.incarnation + 1 })
      assert.equal(mayReopen(reopened), false)
    }),
  )
})

test('a stop of incarnation n never stops n + 1', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), (n) => {
      const stopped = { spec: { incarnation: n + 1, stopThrough: n } }
      assert.equal(isStopped(stopped, n), true)
      assert.equal(isStopped(stopped, n + 1), false)
    }),
  )
})

test('the clock never ends a session before its next deadline, and always at it', () => {
  fc.assert(
    fc.property(record, (session) => {
      const state = stateOf(session)
      const deadlineMs = nextDeadlineMs(state)
      if (deadlineMs === undefined) return assert.equal(deadlineReached(state, Number.MAX_SAFE_INTEGER), undefined)
      assert.equal(deadlineReached(state, deadlineMs - 1), undefined)
      assert.ok(deadlineReached(state, deadlineMs))
    }),
  )
})
