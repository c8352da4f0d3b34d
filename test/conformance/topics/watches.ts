/** Watches: where they begin, what they tell, bookmarks, ends. */
import assert from 'node:assert/strict'
import { conformance, type Stage } from '../conformance.ts'
import { configMap, session } from '../objects.ts'

const labelled = (name: string, label: string) => configMap(name, { a: '1' }, { labels: { label } })
const chosen = { labelSelector: 'label' }

async function listVersion(on: Stage): Promise<string> {
  return (await on.ask('GET', on.at('configmaps'))).body.metadata.resourceVersion
}

conformance('a watch tells each change once and in order', async (on) => {
  const resourceVersion = await listVersion(on)
  const watch = await on.watch(on.at('configmaps'), { resourceVersion, ...chosen })
  await on.make('configmaps', labelled('a', 'x'))
  await on.call('PATCH', on.at('configmaps', 'a'), { body: { data: { a: '2' } } })
  await on.call('PATCH', on.at('configmaps', 'a'), { body: { data: { a: '2' } } })
  await on.make('configmaps', configMap('unlabelled'))
  await on.call('PATCH', on.at('configmaps', 'a'), { body: { metadata: { finalizers: ['carrel.dev/a'] } } })
  await on.call('DELETE', on.at('configmaps', 'a'))
  await on.call('PATCH', on.at('configmaps', 'a'), { body: { metadata: { finalizers: null } } })
  const events = await watch.take(5)
  on.tell('all events', events)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'MODIFIED', 'MODIFIED', 'DELETED'],
  )
  const later = await on.watch(on.at('configmaps'), { resourceVersion, ...chosen })
  on.tell('the same, watched afterwards', await later.take(5))
})

conformance('an object that enters or leaves the selector is added or deleted', async (on) => {
  const resourceVersion = await listVersion(on)
  const watch = await on.watch(on.at('configmaps'), { resourceVersion, labelSelector: 'label=x' })
  await on.make('configmaps', labelled('a', 'y'))
  for (const label of ['x', 'y', 'x']) await on.call('PATCH', on.at('configmaps', 'a'), { body: { metadata: { labels: { label } } } })
  await on.call('DELETE', on.at('configmaps', 'a'))
  on.tell('events', await watch.take(4))
})

conformance('a watch without a resourceVersion, or from 0, begins with what is there', async (on) => {
  await on.make('configmaps', labelled('a', 'x'))
  await on.make('configmaps', labelled('b', 'x'))
  await on.make('agentsessions', session('a'))
  for (const version of [{}, { resourceVersion: '' }, { resourceVersion: '0' }] as Record<string, string>[]) {
    const watch = await on.watch(on.at('configmaps'), { ...version, ...chosen })
    on.tell(
      `begins ${JSON.stringify(version)}`,
      [...(await watch.take(2))].toSorted((a, b) => (a.object.metadata.name < b.object.metadata.name ? -1 : 1)),
    )
    on.record('headers', watch.answer.headers['content-type'])
  }
  const one = await on.watch(on.at('configmaps', 'b'), { resourceVersion: '0' })
  on.tell('one object', await one.take(1))
  const byField = await on.watch(on.at('agentsessions'), { fieldSelector: 'metadata.name=a' })
  on.tell('by field', await byField.take(1))
})

conformance('a watch ends in time', async (on) => {
  const resourceVersion = await listVersion(on)
  const watch = await on.watch(on.at('configmaps'), { resourceVersion, ...chosen, timeoutSeconds: '1' })
  on.tell('nothing', await watch.ended())
  for (const timeoutSeconds of ['soon', '1.5', '']) {
    const { answer } = await on.watch(on.at('configmaps'), { resourceVersion, timeoutSeconds })
    on.record(`timeoutSeconds=${timeoutSeconds}`, answer.status)
  }
})

conformance('initial events end with a bookmark that says so', async (on) => {
  await on.make('configmaps', labelled('a', 'x'))
  await on.make('configmaps', labelled('b', 'x'))
  const streaming = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: 'true' }
  const watch = await on.watch(on.at('configmaps'), { ...streaming, ...chosen })
  on.tell('initial events', [...(await watch.take(3))])
  assert.equal(watch.events[2]!.type, 'BOOKMARK')
  assert.equal(watch.events[2]!.object.metadata.annotations['k8s.io/initial-events-end'], 'true')
  await on.make('configmaps', labelled('c', 'x'))
  on.tell('and then what changes', [...(await watch.take(4))])
  const own = await on.watch(on.at('agentsessions'), streaming)
  on.tell('none of ours', [...(await own.take(1))])
  for (const query of [
    { sendInitialEvents: 'true' },
    { sendInitialEvents: 'true', resourceVersionMatch: 'Exact', allowWatchBookmarks: 'true' },
    { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' },
    { resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: 'true' },
    { sendInitialEvents: 'false', resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: 'true', timeoutSeconds: '1' },
  ] as Record<string, string>[]) {
    const stream = await on.watch(on.at('configmaps'), { ...query, ...chosen, timeoutSeconds: '1' })
    on.record(`a stream of ${JSON.stringify(query)}`, {
      status: stream.answer.status,
      body: stream.answer.body,
      types: (await stream.ended()).map(({ type }) => type),
    })
  }
})

conformance('a watch from a version that cannot be is refused, or fails', async (on) => {
  await on.refusedWatch(on.at('configmaps'), { resourceVersion: 'garbage' })
  await on.refusedWatch(on.at('configmaps'), { resourceVersion: '-1' })
  const old = await on.watch(on.at('configmaps'), { resourceVersion: '1', timeoutSeconds: '1', ...chosen })
  on.tell('from the beginning of time', await old.ended())
  const future = await on.watch(on.at('configmaps'), { resourceVersion: '999999999', timeoutSeconds: '1', ...chosen })
  on.tell('from the future', await future.ended(), { differs: 'future-watch' })
})

conformance('bad selectors of a watch are refused', async (on) => {
  await on.refusedWatch(on.at('configmaps'), { labelSelector: '!!' })
  await on.refusedWatch(on.at('configmaps'), { fieldSelector: 'data.a=1' })
  await on.refusedWatch(on.at('agentsessions'), { fieldSelector: 'spec.endpoint=DEFAULT' })
})

conformance('the watch of another path is the same watch', async (on) => {
  await on.make('configmaps', labelled('a', 'x'))
  const version = { resourceVersion: '0', ...chosen }
  const all = await on.watch('/api/v1/configmaps', { ...version, fieldSelector: `metadata.namespace=${on.namespace}` })
  on.tell('of all namespaces', await all.take(1))
})
