import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOf, tableOf, writesTo } from '../../bench/cold/writes.ts'
import { markdownOf } from '../../bench/runner/markdown.ts'
import { resultOf } from '../../bench/runner/result.ts'
import type { Bench, Case, Metric } from '../../bench/runner/bench.ts'
import type { AuditLine } from '../control-plane/control-plane.ts'

function line(
  username: string,
  verb: string,
  resource: string,
  name: string,
  more: { subresource?: string; code?: number } = {},
): AuditLine {
  const { code = 200, ...rest } = more
  return {
    verb,
    user: { username },
    objectRef: { resource, namespace: 'default', name, ...rest },
    requestURI: '/',
    responseStatus: { code },
    requestReceivedTimestamp: '2026-11-24T08:00:00Z',
  }
}

test('writes are counted of the objects that are meant: accepted ones, by who made them', () => {
  const operator = 'system:serviceaccount:carrel-system:operator'
  const lines = [
    line(operator, 'create', 'pods', 'a-1', { code: 201 }),
    line(operator, 'create', 'pods', 'a-1', { code: 409 }),
    line('system:node:node-1', 'patch', 'pods', 'a-1', { subresource: 'status' }),
    line('system:node:node-1', 'patch', 'pods', 'a-1', { subresource: 'status' }),
    line('system:node:node-1', 'patch', 'pods', 'another', { subresource: 'status' }),
    line('system:kube-scheduler', 'create', 'events', 'a-1', { code: 201 }),
    line('admin', 'get', 'pods', 'a-1'),
  ]
  const writes = writesTo(lines, (_resource, name) => name === 'a-1')
  assert.deepEqual(
    [...writes],
    [
      ['operator | create pods', 1],
      ['kubelet | patch pods/status', 2],
    ],
  )
  assert.equal(countOf(writes), 3)
  assert.equal(
    tableOf([writes, new Map([['operator | create pods', 1]])]),
    ['| who | what | each |', '| --- | --- | --- |', '| kubelet | patch pods/status | 1 |', '| operator | create pods | 1 |'].join('\n'),
  )
})

function pageOf(oursMs: number): string {
  const metric: Metric = { name: 'first answer', unit: 'ms', better: 'less', targetToFloor: 1.25 }
  const bench: Bench = { name: 'x', about: 'y', metrics: [metric], prepare: () => assert.fail('not run') }
  const run = (role: Case['role'], ms: number) => ({ name: role, api: 'real', role, rounds: [{ sample: { 'first answer': ms } }] })
  const settings = { rounds: 1, objects: 1, changes: 1, sessions: 1, seconds: 1, nginx: false, apis: [], say: () => {} }
  const machine = { cores: 2, processor: 'p', memoryGiB: 1, node: 'v24', system: 's' }
  const facts = { startedAt: '2026-11-24T08:00:00Z', durationSeconds: 1, machine, notes: [] }
  return markdownOf(resultOf(bench, settings, [run('ours', oursMs), run('floor', 100)], facts))
}

test('a target that is a ratio to the floor is judged by the ratio', () => {
  assert.match(pageOf(120), /\| first answer, ms \| 120<br>1\.2x floor \| 100 \| <= 1\.25x floor \|/)
  assert.match(pageOf(130), /\| 130 \*\*missed\*\*<br>1\.3x floor \|/)
})
