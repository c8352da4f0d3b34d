import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryActivity } from '../../src/activity/memory.ts'
import type { AgentSession, AgentSessionStatus } from '../../src/crds/agent-session.ts'
import { activityAnswer } from '../../src/gateway/activity-answer.ts'

function session(namespace: string, name: string, status?: AgentSessionStatus): AgentSession {
  const spec = {
    runtimeRef: { name: 'r', uid: 'u' },
    endpoint: 'DEFAULT',
    sessionId: 's'.repeat(33),
    owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ann' },
    incarnation: 1,
    stopThrough: 0,
  }
  return { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession', metadata: { namespace, name }, spec, ...(status ? { status } : {}) }
}

test('a gateway tells of each session that has a pod whether it is in use, of one namespace or of all', async () => {
  let nowMs = 0
  const activity = new MemoryActivity({ monotonic: () => nowMs })
  const live = (podUID: string): AgentSessionStatus => ({ incarnation: 1, phase: 'Running', podUID })
  const sessions = [
    session('one', 'streaming', live('p1')),
    session('one', 'resting', live('p2')),
    session('two', 'unheard', live('p3')),
    session('one', 'over', { incarnation: 1, phase: 'Terminated', podUID: 'p4' }),
    session('one', 'new'),
  ]
  await activity.touch('g', { podUID: 'p2', idleMs: 60_000, open: false })
  nowMs = 15_000.4
  await activity.stamp('g', [{ podUID: 'p1', idleMs: 60_000, open: true }])
  const parts = { sessions: { list: () => sessions }, activity }
  const one = [
    { namespace: 'one', session: 'streaming', podUID: 'p1', state: 'active' },
    { namespace: 'one', session: 'resting', podUID: 'p2', state: 'idle', idleForMs: 15_000, idleEndsInMs: 45_000 },
  ]
  assert.deepEqual(await activityAnswer({ namespace: 'one' }, parts), one)
  const all = [...one, { namespace: 'two', session: 'unheard', podUID: 'p3', state: 'unknown' }]
  assert.deepEqual(await activityAnswer({ namespace: undefined }, parts), all)
})
