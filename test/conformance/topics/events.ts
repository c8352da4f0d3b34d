/** Events: one object with two faces, and its series. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'

const LESS = { differs: 'checked-less' } as const
/** What Carrel never sends. */
const CHECKED_LESS = new Set<string>([])

const newer = (namespace: string, name: string, more: object = {}) => ({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  metadata: { name },
  eventTime: '2026-11-24T10:00:00.123456Z',
  reportingController: 'carrel.dev/operator',
  reportingInstance: 'operator-1',
  action: 'Open',
  reason: 'PodOpened',
  note: 'the pod is there',
  type: 'Normal',
  regarding: { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession', name: 'a', namespace, uid: 'uid-1' },
  ...more,
})

conformance('an event has two faces', async (on) => {
  await on.make('newevents', newer(on.namespace, 'a'))
  assert.equal((await on.call('GET', on.at('events', 'a'))).body.message, 'the pod is there')
  await on.call('GET', on.at('newevents', 'a'))
  await on.call('GET', on.at('events'))
  await on.call('GET', on.at('newevents'))
  const watch = await on.watch(on.at('events'), { resourceVersion: '0' })
  on.tell('as core/v1', await watch.take(1))
  await on.call('POST', on.at('events'), {
    body: {
      metadata: { name: 'core' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: on.namespace },
      reason: 'Old',
      message: 'of old',
      type: 'Warning',
      source: { component: 'kubelet', host: 'x' },
      firstTimestamp: '2026-11-24T10:00:00Z',
      lastTimestamp: '2026-11-24T10:00:00Z',
      count: 3,
    },
  })
  await on.call('GET', on.at('newevents', 'core'))
  for (const fieldSelector of [
    'involvedObject.name=a',
    'involvedObject.kind=Pod',
    'reason=Old',
    'type=Warning',
    'involvedObject.uid=uid-1,type=Normal',
    'reportingComponent=carrel.dev/operator',
    'source=kubelet',
  ])
    await on.call('GET', on.at('events'), { query: { fieldSelector }, ...(fieldSelector.startsWith('source') ? LESS : {}) })
  for (const fieldSelector of ['regarding.name=a', 'reason=Old', 'reportingController=carrel.dev/operator'])
    await on.call('GET', on.at('newevents'), { query: { fieldSelector } })
})

conformance('a series is patched, and nothing else of an event', async (on) => {
  const made = await on.make('newevents', newer(on.namespace, 'a'))
  const series = { count: 2, lastObservedTime: '2026-11-24T10:05:00.000000Z' }
  assert.equal((await on.call('PATCH', on.at('newevents', 'a'), { body: { series } })).body.series.count, 2)
  await on.call('PATCH', on.at('newevents', 'a'), {
    body: { series: { ...series, count: 3 } },
    contentType: 'application/strategic-merge-patch+json',
  })
  for (const change of [
    { note: 'else' },
    { reason: 'Else' },
    { type: 'Warning' },
    { eventTime: '2026-11-24T11:00:00.000000Z' },
    { regarding: { name: 'else' } },
  ])
    await on.call('PATCH', on.at('newevents', 'a'), { body: change, ...('regarding' in change ? WORDS : {}) })
  await on.call('PATCH', on.at('events', 'a'), { body: { message: 'else' } })
  await on.call('PUT', on.at('newevents', 'a'), { body: { ...made, metadata: { name: 'a' }, series } })
  assert.equal((await on.call('DELETE', on.at('newevents', 'a'))).status, 200)
  assert.equal((await on.call('GET', on.at('events', 'a'))).status, 404)
})

conformance('what is no event', async (on) => {
  for (const [name, wrong] of Object.entries({
    'no-time': { eventTime: undefined },
    'bad-time': { eventTime: 'now' },
    'whole-seconds': { eventTime: '2026-11-24T10:00:00Z' },
    'no-controller': { reportingController: undefined },
    'bad-controller': { reportingController: 'a b' },
    'no-instance': { reportingInstance: undefined },
    'no-action': { action: undefined },
    'no-reason': { reason: undefined },
    'bad-type': { type: 'Bad' },
    'no-type': { type: undefined },
    'long-note': { note: 'x'.repeat(1025) },
    'long-reason': { reason: 'x'.repeat(129) },
    'long-action': { action: 'x'.repeat(129) },
    'long-instance': { reportingInstance: 'x'.repeat(129) },
    elsewhere: { regarding: { kind: 'Pod', name: 'p', namespace: 'default' } },
    nowhere: { regarding: { kind: 'Node', name: 'p' } },
    'short-series': { series: { count: 1, lastObservedTime: '2026-11-24T10:05:00.000000Z' } },
    'timeless-series': { series: { count: 2 } },
    'old-count': { deprecatedCount: 1 },
  }))
    await on.call('POST', on.at('newevents'), {
      body: newer(on.namespace, name, wrong),
      ...(CHECKED_LESS.has(name) ? LESS : name.endsWith('time') || name === 'whole-seconds' ? WORDS : {}),
    })
})
