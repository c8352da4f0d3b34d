/** Tables: the columns and cells that `kubectl get` prints. */
import assert from 'node:assert/strict'
import { conformance, type Stage } from '../conformance.ts'
import { configMap, pod, runtime, session } from '../objects.ts'
import type { Resource } from '../paths.ts'
import type { Loose } from '../wire.ts'

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
/** Columns whose cells depend on when one looks. */
const OF_TIME = new Set(['Age', 'Last Seen', 'First Seen'])

async function tableOf(on: Stage, path: string, query: Record<string, string> = {}): Promise<void> {
  const { status, headers, body } = await on.ask('GET', path, { accept: TABLE, query })
  on.record(`table of ${path} ${JSON.stringify(query)}`, { status, type: headers['content-type'], ...comparableTable(body) })
}

function comparableTable({ kind, apiVersion, metadata, columnDefinitions, rows, ...rest }: Loose): object {
  const columns = columnDefinitions as { name: string; type: string; format: string; priority: number }[]
  return {
    kind,
    apiVersion,
    rest,
    metadata: { ...metadata },
    columns: columns.map(({ name, type, format, priority }) => ({ name, type, format, priority })),
    rows: (rows as { cells: unknown[]; object: unknown }[]).map(({ cells, ...row }) => ({
      ...row,
      cells: cells.map((cell, index) => (OF_TIME.has(columns[index]!.name) ? typeof cell : cell)),
    })),
  }
}

const MADE: [Resource, object][] = [
  ['agentruntimes', runtime('a')],
  ['agentsessions', session('a')],
  ['pods', pod('a', ({ spec }) => Object.assign(spec, { nodeName: 'node-1' }))],
  ['configmaps', configMap('a', { a: '1', b: '2' })],
  ['secrets', { metadata: { name: 'a' }, data: { a: '' } }],
  ['leases', { metadata: { name: 'a' }, spec: { holderIdentity: 'me' } }],
  ['controllerrevisions', { metadata: { name: 'a' }, revision: 3, data: {} }],
  ['serviceaccounts', { metadata: { name: 'a' } }],
]

conformance('tables of all kinds', async (on) => {
  for (const [resource, object] of MADE) {
    await on.make(resource, object)
    await tableOf(on, on.at(resource, 'a'))
    await tableOf(on, on.at(resource), { fieldSelector: 'metadata.name=a' })
    await tableOf(on, on.at(resource), { fieldSelector: 'metadata.name=none' })
  }
  await tableOf(on, on.at('agentsessions'), { includeObject: 'None' })
  await tableOf(on, on.at('agentsessions'), { includeObject: 'Object' })
  await tableOf(on, `/api/v1/namespaces/${on.namespace}`)
  await tableOf(on, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions')
})

conformance("a pod's row follows its status", async (on) => {
  await on.make(
    'pods',
    pod('a', ({ spec }) => Object.assign(spec, { nodeName: 'node-1', containers: [...spec.containers, { name: 'b', image: 'b:1' }] })),
  )
  const container = (name: string, state: object, more: object = {}) => ({
    name,
    image: 'x',
    imageID: 'x',
    ready: false,
    restartCount: 0,
    state,
    ...more,
  })
  const startedAt = '2026-11-24T10:00:00Z'
  const statuses: object[] = [
    { phase: 'Pending', containerStatuses: [container('agent', { waiting: { reason: 'ContainerCreating' } }), container('b', {})] },
    {
      phase: 'Running',
      podIP: '10.0.0.1',
      podIPs: [{ ip: '10.0.0.1' }],
      containerStatuses: [
        container('agent', { running: { startedAt } }, { ready: true }),
        container('b', { waiting: { reason: 'CrashLoopBackOff' } }, { restartCount: 4 }),
      ],
    },
    {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: startedAt, lastProbeTime: null }],
      containerStatuses: [
        container('agent', { running: { startedAt } }, { ready: true }),
        container('b', { running: { startedAt } }, { ready: true }),
      ],
    },
    {
      phase: 'Succeeded',
      containerStatuses: [
        container('agent', { terminated: { exitCode: 0, reason: 'Completed' } }),
        container('b', { terminated: { exitCode: 0, reason: 'Completed' } }),
      ],
    },
    {
      phase: 'Failed',
      containerStatuses: [
        container('agent', { terminated: { exitCode: 3, reason: 'Error' } }),
        container('b', { terminated: { exitCode: 137, signal: 9 } }),
      ],
    },
    { phase: 'Failed', reason: 'Evicted', message: 'out of memory' },
    { phase: 'Failed', reason: 'DeadlineExceeded', containerStatuses: [container('agent', { terminated: { exitCode: 1, reason: '' } })] },
  ]
  for (const status of statuses) {
    const { resourceVersion: _version, ...metadata } = (await on.ask('GET', on.at('pods', 'a'))).body.metadata
    const object = (await on.ask('GET', on.at('pods', 'a'))).body
    const written = await on.ask('PUT', on.at('pods', 'a', 'status'), { body: { ...object, metadata, status } })
    assert.equal(written.status, 200, JSON.stringify(written.body))
    await tableOf(on, on.at('pods', 'a'))
  }
  await on.ask('PATCH', on.at('pods', 'a', 'status'), { body: { status: { phase: 'Running', reason: null } } })
  await on.ask('DELETE', on.at('pods', 'a'), { body: { gracePeriodSeconds: 60 } })
  await tableOf(on, on.at('pods', 'a'))
})

conformance('a session and a runtime with a status', async (on) => {
  await on.make('agentsessions', session('a'))
  const status = {
    incarnation: 1,
    phase: 'Running',
    podName: 'a-1',
    podUID: 'uid',
    version: 1,
    startedAt: '2026-11-24T10:00:00Z',
    idleTimeoutSeconds: 900,
  }
  await on.ask('PATCH', on.at('agentsessions', 'a', 'status'), { body: { status } })
  await tableOf(on, on.at('agentsessions', 'a'))
  await on.ask('PATCH', on.at('agentsessions', 'a', 'status'), { body: { status: { phase: 'Terminated', endReason: 'Stopped' } } })
  await tableOf(on, on.at('agentsessions'))
  await on.make('agentruntimes', runtime('a'))
  const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'ok', lastTransitionTime: '2026-11-24T10:00:00Z' }
  await on.ask('PATCH', on.at('agentruntimes', 'a', 'status'), { body: { status: { observedGeneration: 1, conditions: [condition] } } })
  await tableOf(on, on.at('agentruntimes'))
})

conformance('a watch of a table', async (on) => {
  await on.make('agentsessions', session('a'))
  const watch = await on.watch(on.at('agentsessions'), { resourceVersion: '0' }, TABLE)
  await watch.take(1)
  await on.make('agentsessions', session('b'))
  const events = await watch.take(2)
  on.record(
    'events',
    events.map(({ type, object }) => ({
      type,
      table: {
        ...object,
        columnDefinitions: object.columnDefinitions?.length,
        rows: object.rows.map(({ cells, ...row }: Loose) => ({ ...row, cells: cells.length })),
      },
    })),
  )
})

conformance('tables of events', async (on) => {
  const regarding = { apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: on.namespace, fieldPath: 'spec.containers{agent}' }
  const body = {
    metadata: { name: 'a' },
    eventTime: '2026-11-24T10:00:00.000000Z',
    reportingController: 'carrel.dev/operator',
    reportingInstance: 'o-1',
    action: 'Open',
    reason: 'PodOpened',
    note: 'it is there',
    type: 'Normal',
    regarding,
  }
  await on.make('newevents', body)
  for (const resource of ['events', 'newevents'] as const) await tableOf(on, on.at(resource))
  await on.ask('PATCH', on.at('newevents', 'a'), { body: { series: { count: 5, lastObservedTime: '2026-11-24T10:10:00.000000Z' } } })
  for (const resource of ['events', 'newevents'] as const) await tableOf(on, on.at(resource))
})
