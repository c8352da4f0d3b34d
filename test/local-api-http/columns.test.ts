import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { PODS } from '../../src/kube/resource.ts'
import { humanDuration } from '../../src/local/api/table/age.ts'
import { columnsOf } from '../../src/local/api/table/columns.ts'
import { compileJsonPath } from '../../src/local/api/table/json-path.ts'
import { tableEvents, tableOf } from '../../src/local/api/table/table.ts'

const NOW_MS = Date.parse('2026-01-01T01:00:00Z')

test('durations read as kubectl prints them', () => {
  const second = 1000
  const cases: [number, string][] = [
    [-5 * second, '<invalid>'],
    [-1 * second, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [120 * second, '2m'],
    [190 * second, '3m10s'],
    [600 * second, '10m'],
    [179 * 60 * second, '179m'],
    [180 * 60 * second, '3h'],
    [(7 * 60 + 59) * 60 * second, '7h59m'],
    [8 * 3600 * second, '8h'],
    [47 * 3600 * second, '47h'],
    [49 * 3600 * second, '2d1h'],
    [192 * 3600 * second, '8d'],
    [729 * 24 * 3600 * second, '729d'],
    [731 * 24 * 3600 * second, '2y1d'],
    [9 * 365 * 24 * 3600 * second, '9y'],
  ]
  for (const [durationMs, expected] of cases) assert.equal(humanDuration(durationMs), expected, `${durationMs} ms`)
})

test('JSONPath finds fields, filters and list items, and refuses what it does not know', () => {
  const root = {
    status: {
      conditions: [
        { type: 'Accepted', status: 'True' },
        { type: 'Ready', status: 'False', reason: 'X' },
      ],
    },
    'a.b': [1, 2],
    n: null,
  }
  assert.deepEqual(compileJsonPath('.status.conditions[?(@.type=="Ready")].reason')(root), ['X'])
  assert.deepEqual(compileJsonPath(".status.conditions[?(@.type!='Ready')].type")(root), ['Accepted'])
  assert.deepEqual(compileJsonPath('.status.conditions[-1].type')(root), ['Ready'])
  assert.deepEqual(compileJsonPath('.status.conditions[*].type')(root), ['Accepted', 'Ready'])
  assert.deepEqual(compileJsonPath("['a.b'][1]")(root), [2])
  assert.deepEqual(compileJsonPath('.status.absent.field')(root), [])
  assert.deepEqual(compileJsonPath('.n.x')(root), [])
  assert.deepEqual(compileJsonPath('.constructor.name')(root), [])
  assert.throws(() => compileJsonPath('.items[0:2]'), /not understood from character 7/)
})

test("the tables of Carrel's kinds have their printer columns, with empty cells for what is not there yet", () => {
  const runtime = {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name: 'hello', creationTimestamp: '2026-01-01T00:59:00Z' },
  }
  const columns = columnsOf(AGENT_RUNTIMES)
  assert.deepEqual(
    columns.map(({ name }) => name),
    ['Name', 'Ready', 'Version', 'Reason', 'ARN', 'Age'],
  )
  assert.deepEqual(cells(AGENT_RUNTIMES, runtime), ['hello', null, null, null, null, '60s'])
  const ready = { ...runtime, status: { latestVersion: 3, conditions: [{ type: 'Ready', status: 'True', reason: 'Running' }] } }
  assert.deepEqual(cells(AGENT_RUNTIMES, ready).slice(1, 4), ['True', 3, 'Running'])
  assert.deepEqual(
    columnsOf(AGENT_SESSIONS)
      .filter(({ priority }) => priority === 1)
      .map(({ name }) => name),
    ['Pod', 'Session', 'Owner'],
  )
})

test('a pod reads as kubectl shows it in each of its states', () => {
  const status = (fields: object): string => String(cells(PODS, pod(fields))[2])
  assert.equal(status({ phase: 'Pending' }), 'Pending')
  assert.equal(status({ phase: 'Running', containerStatuses: [container({ running: {} }, true)] }), 'Running')
  assert.equal(
    status({ phase: 'Pending', containerStatuses: [container({ waiting: { reason: 'ContainerCreating' } })] }),
    'ContainerCreating',
  )
  assert.equal(status({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 1, reason: 'Error' } })] }), 'Error')
  assert.equal(status({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 3 } })] }), 'ExitCode:3')
  assert.equal(status({ phase: 'Failed', containerStatuses: [container({ terminated: { exitCode: 137, signal: 9 } })] }), 'Signal:9')
  assert.equal(status({ phase: 'Failed', reason: 'DeadlineExceeded' }), 'DeadlineExceeded')
  const leaving = pod({ phase: 'Running', containerStatuses: [container({ running: {} }, true)] })
  leaving.metadata.deletionTimestamp = '2026-01-01T00:59:59Z'
  assert.deepEqual(cells(PODS, leaving).slice(0, 5), ['p', '1/1', 'Terminating', '0', '60m'])
})

test('events read the same through both of their APIs', () => {
  const core = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e' },
    type: 'Warning',
    reason: 'Failed',
    message: 'it broke\n',
    involvedObject: { kind: 'AgentRuntime', name: 'hello' },
    eventTime: '2026-01-01T00:59:30.000000Z',
    firstTimestamp: null,
    lastTimestamp: null,
  }
  const events = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'e' },
    type: 'Warning',
    reason: 'Failed',
    note: 'it broke',
    regarding: { kind: 'AgentRuntime', name: 'hello' },
    eventTime: '2026-01-01T00:59:30.000000Z',
  }
  const expected = ['30s', 'Warning', 'Failed', 'agentruntime/hello', '', '', 'it broke', '30s', 1, 'e']
  assert.deepEqual(cells({ group: '', plural: 'events' }, core), expected)
  assert.deepEqual(cells({ group: 'events.k8s.io', plural: 'events' }, events), expected)
  const series = { ...events, series: { count: 4, lastObservedTime: '2026-01-01T00:59:58.000000Z' } }
  assert.deepEqual(
    [cells({ group: 'events.k8s.io', plural: 'events' }, series)[0], cells({ group: 'events.k8s.io', plural: 'events' }, series)[8]],
    ['2s', 4],
  )
})

test('a watch of a table names its columns once', async () => {
  async function* events() {
    yield { type: 'ADDED' as const, object: pod({ phase: 'Pending' }) }
    yield { type: 'MODIFIED' as const, object: pod({ phase: 'Running' }) }
    yield { type: 'BOOKMARK' as const, object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: '', resourceVersion: '9' } } }
  }
  const print = () => ({ columns: columnsOf(PODS), includeObject: 'Metadata' as const, nowMs: NOW_MS })
  const seen: { object: ReturnType<typeof tableOf> }[] = []
  for await (const event of tableEvents(events(), print)) seen.push(event as (typeof seen)[number])
  assert.deepEqual(
    seen.map(({ object }) => object.columnDefinitions !== undefined),
    [true, false, false],
  )
  assert.deepEqual(
    seen.map(({ object }) => object.rows.length),
    [1, 1, 0],
  )
  assert.equal(seen[2]!.object.metadata.resourceVersion, '9')
  assert.equal((seen[0]!.object.rows[0]!.object as KubeObject).kind, 'PartialObjectMetadata')
})

function cells(kind: Parameters<typeof columnsOf>[0], object: KubeObject): unknown[] {
  return tableOf(object, { columns: columnsOf(kind), includeObject: 'Metadata', nowMs: NOW_MS }).rows[0]!.cells
}

function pod(status: object): KubeObject {
  const metadata: KubeObject['metadata'] = { name: 'p', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'agent' }] }, status } as KubeObject
}

function container(state: object, ready = false): object {
  return { name: 'agent', state, ready, restartCount: 0 }
}
