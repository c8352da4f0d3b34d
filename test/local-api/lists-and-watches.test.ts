import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { CONFIG_MAPS, NAMESPACES, PODS, SECRETS, TestApi, configMap, pod, secret } from './api-kit.ts'

test('a list is sorted, of one namespace or of all, and says at which resourceVersion it holds', async () => {
  const api = await TestApi.start()
  await api.must('POST', NAMESPACES, { metadata: { name: 'another' } })
  for (const name of ['c', 'a', 'b']) await api.must('POST', CONFIG_MAPS, configMap(name))
  const last = await api.must('POST', '/api/v1/namespaces/another/configmaps', configMap('z'))
  const list = await api.must('GET', CONFIG_MAPS)
  assert.deepEqual([list.kind, list.apiVersion, list.metadata.resourceVersion], ['ConfigMapList', 'v1', last.metadata.resourceVersion])
  assert.deepEqual(
    list.items.map((item: any) => item.metadata.name),
    ['a', 'b', 'c'],
  )
  assert.deepEqual(await api.names('/api/v1/configmaps'), ['z', 'a', 'b', 'c'])
})

test('label selectors choose by equality and by sets', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('red', { labels: { colour: 'red', 'carrel.dev/n': '1' } }))
  await api.must('POST', CONFIG_MAPS, configMap('blue', { labels: { colour: 'blue', empty: '' } }))
  await api.must('POST', CONFIG_MAPS, configMap('plain'))
  const cases: [string, string[]][] = [
    ['colour=red', ['red']],
    ['colour==red', ['red']],
    ['colour != red', ['blue', 'plain']],
    ['colour in (red, blue)', ['blue', 'red']],
    ['colour notin (red)', ['blue', 'plain']],
    ['colour', ['blue', 'red']],
    ['!colour', ['plain']],
    ['colour in (red,blue),carrel.dev/n=1', ['red']],
    ['colour,colour!=red', ['blue']],
    ['empty=', ['blue']],
    ['', ['blue', 'plain', 'red']],
  ]
  for (const [labelSelector, expected] of cases) assert.deepEqual(await api.names(CONFIG_MAPS, { labelSelector }), expected, labelSelector)
  for (const labelSelector of ['colour in red', 'a=b=c', '=x', 'colour in (red', 'a b']) {
    await api.refused(400, 'BadRequest', 'GET', CONFIG_MAPS, undefined, { query: { labelSelector } })
  }
})

test('field selectors choose by name everywhere, and by what each kind serves', async () => {
  const api = await TestApi.start()
  await api.must('POST', PODS, pod('here', {}, { nodeName: 'laptop' }))
  await api.must('POST', PODS, pod('nowhere'))
  await api.must('POST', SECRETS, secret('key', {}, { type: 'carrel.dev/access-key' }))
  await api.must('POST', SECRETS, secret('other'))
  assert.deepEqual(await api.names(PODS, { fieldSelector: 'spec.nodeName=laptop' }), ['here'])
  assert.deepEqual(await api.names(PODS, { fieldSelector: 'spec.nodeName=' }), ['nowhere'])
  assert.deepEqual(await api.names(PODS, { fieldSelector: 'spec.nodeName!=laptop,status.phase=Pending' }), ['nowhere'])
  assert.deepEqual(await api.names(PODS, { fieldSelector: 'metadata.name=here' }), ['here'])
  assert.deepEqual(await api.names('/api/v1/pods', { fieldSelector: 'metadata.namespace!=default' }), [])
  assert.deepEqual(await api.names(SECRETS, { fieldSelector: 'type=carrel.dev/access-key' }), ['key'])
  const unserved = await api.refused(400, 'BadRequest', 'GET', PODS, undefined, { query: { fieldSelector: 'spec.hostname=x' } })
  assert.match(unserved.message, /field label not supported: spec\.hostname/)
})

test('a list comes in pages that neither repeat nor lose what stays', async () => {
  const api = await TestApi.start()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await api.must('POST', CONFIG_MAPS, configMap(name))
  const first = await api.must('GET', CONFIG_MAPS, undefined, { query: { limit: '2' } })
  assert.equal(first.metadata.remainingItemCount, 3)
  await api.must('DELETE', `${CONFIG_MAPS}/a`)
  await api.must('POST', CONFIG_MAPS, configMap('aa'))
  const second = await api.must('GET', CONFIG_MAPS, undefined, { query: { limit: '2', continue: first.metadata.continue } })
  const third = await api.must('GET', CONFIG_MAPS, undefined, { query: { limit: '2', continue: second.metadata.continue } })
  assert.deepEqual(
    [...first.items, ...second.items, ...third.items].map((item: any) => item.metadata.name),
    ['a', 'b', 'c', 'd', 'e'],
  )
  assert.equal(third.metadata.continue, undefined)
  await api.refused(400, 'BadRequest', 'GET', CONFIG_MAPS, undefined, { query: { continue: 'nonsense' } })
})

test('a list asked for a resourceVersion serves what is not older, and says when it is not there yet', async () => {
  const api = await TestApi.start()
  const { metadata } = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.must('POST', CONFIG_MAPS, configMap('b'))
  const { resourceVersion } = metadata
  assert.deepEqual(await api.names(CONFIG_MAPS, { resourceVersion }), ['a', 'b'])
  assert.deepEqual(await api.names(CONFIG_MAPS, { resourceVersion: '0' }), ['a', 'b'])
  await api.refused(410, 'Expired', 'GET', CONFIG_MAPS, undefined, { query: { resourceVersion, resourceVersionMatch: 'Exact' } })
  const ahead = await api.refused(504, 'Timeout', 'GET', CONFIG_MAPS, undefined, { query: { resourceVersion: '999999999' } })
  assert.equal(ahead.details.causes[0].reason, 'ResourceVersionTooLarge')
  await api.refused(400, 'BadRequest', 'GET', CONFIG_MAPS, undefined, { query: { resourceVersion: 'abc' } })
})

test('a watch goes on from where a list ended, without gap or repetition', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('before'))
  const { resourceVersion } = (await api.must('GET', CONFIG_MAPS)).metadata
  await api.must('POST', CONFIG_MAPS, configMap('between'))
  const watched = await api.watch(CONFIG_MAPS, { resourceVersion })
  await api.must('POST', CONFIG_MAPS, configMap('after'))
  await api.merge(`${CONFIG_MAPS}/before`, { data: { a: '2' } })
  await api.must('POST', SECRETS, secret('of-another-kind'))
  await api.must('DELETE', `${CONFIG_MAPS}/between`)
  assert.deepEqual(await watched.news(), ['ADDED between', 'ADDED after', 'MODIFIED before', 'DELETED between'])
  const versions = watched.events.map(({ object }: any) => BigInt(object.metadata.resourceVersion))
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => (a < b ? -1 : 1)),
  )
  assert.equal((watched.events.at(-1) as any).object.data.a, '1', 'DELETED carries the last state')
})

test('a watch without a resourceVersion, or from 0, begins with what is there', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  for (const query of [{}, { resourceVersion: '0' }] as Record<string, string>[]) {
    const watched = await api.watch(CONFIG_MAPS, query)
    assert.deepEqual(await watched.news(), ['ADDED a'])
  }
  const listed = await api.watch(CONFIG_MAPS, {
    sendInitialEvents: 'true',
    allowWatchBookmarks: 'true',
    resourceVersionMatch: 'NotOlderThan',
  })
  assert.deepEqual(await listed.news(), ['ADDED a', 'BOOKMARK undefined'])
  assert.deepEqual((listed.events[1] as any).object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' })
})

test('an object that enters the selector is ADDED, one that leaves it is DELETED', async () => {
  const api = await TestApi.start()
  const watched = await api.watch(PODS, { labelSelector: 'ready=yes', fieldSelector: 'spec.nodeName=laptop' })
  await api.must('POST', PODS, pod('p', { labels: { ready: 'yes' } }))
  assert.deepEqual(await watched.news(), [])
  await api.must('POST', `${PODS}/p/binding`, { metadata: { name: 'p' }, target: { name: 'laptop' } }, { as: IDENTITIES.kubelet })
  await api.merge(`${PODS}/p`, { metadata: { annotations: { a: 'b' } } })
  const left = await api.merge(`${PODS}/p`, { metadata: { labels: { ready: 'no' } } })
  await api.merge(`${PODS}/p`, { metadata: { annotations: { a: 'c' } } })
  assert.deepEqual(await watched.news(), ['ADDED p', 'MODIFIED p', 'DELETED p'])
  const gone: any = watched.events.at(-1)
  assert.equal(gone.object.metadata.labels.ready, 'yes', 'as it was when it last matched')
  assert.equal(gone.object.metadata.resourceVersion, left.metadata.resourceVersion, 'at the resourceVersion of the change')
})

test('a watch of one object is a watch by its name; on its own path it is a GET', async () => {
  const api = await TestApi.start()
  const byField = await api.watch(CONFIG_MAPS, { fieldSelector: 'metadata.name=a' })
  for (const name of ['a', 'b']) await api.must('POST', CONFIG_MAPS, configMap(name))
  assert.deepEqual(await byField.news(), ['ADDED a'])
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/a`, undefined, { query: { watch: 'true' } })).kind, 'ConfigMap')
})

test('a watch from before the history, or from a future that is not ours, ends with 410', async () => {
  const api = await TestApi.start({ historySize: 5 })
  const { metadata } = await api.must('POST', CONFIG_MAPS, configMap('a'))
  for (let count = 0; count < 10; count += 1) await api.merge(`${CONFIG_MAPS}/a`, { data: { a: `${count + 2}` } })
  for (const resourceVersion of [metadata.resourceVersion, '1', '999999999']) {
    const watched = await api.watch(CONFIG_MAPS, { resourceVersion })
    assert.deepEqual(await watched.news(), ['ERROR 410'])
    assert.equal((watched.events[0] as any).object.reason, 'Expired')
    assert.ok(watched.ended)
  }
  const recent = String(BigInt((await api.must('GET', CONFIG_MAPS)).metadata.resourceVersion) - 5n)
  assert.equal((await (await api.watch(CONFIG_MAPS, { resourceVersion: recent })).news()).length, 5)
  const unreadable = await api.send('GET', CONFIG_MAPS, undefined, { query: { watch: 'true', resourceVersion: 'abc' } })
  assert.deepEqual([unreadable.status, /invalid syntax/.test(unreadable.body.message)], [500, true])
})

test('compaction ends the watches with 410 and forgets what was before', async () => {
  const api = await TestApi.start()
  const { metadata } = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.merge(`${CONFIG_MAPS}/a`, { data: { a: '2' } })
  const watched = await api.watch(CONFIG_MAPS, { resourceVersion: metadata.resourceVersion })
  api.api.compact()
  assert.deepEqual(await watched.news(), ['MODIFIED a', 'ERROR 410'])
  assert.ok(watched.ended)
  assert.deepEqual(await (await api.watch(CONFIG_MAPS, { resourceVersion: metadata.resourceVersion })).news(), ['ERROR 410'])
})

test('bookmarks come once a minute to who asked, and tell how far it is', async () => {
  const api = await TestApi.start()
  const asked = await api.watch(CONFIG_MAPS, { allowWatchBookmarks: 'true' })
  const notAsked = await api.watch(CONFIG_MAPS)
  const { metadata } = await api.must('POST', SECRETS, secret('of-another-kind'))
  await api.settle(125_000)
  assert.deepEqual(await notAsked.news(), [])
  assert.deepEqual(await asked.news(), ['BOOKMARK undefined', 'BOOKMARK undefined'])
  assert.deepEqual(asked.events[0], {
    type: 'BOOKMARK',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { resourceVersion: metadata.resourceVersion } },
  })
})

test('a watch ends after timeoutSeconds, when its caller leaves, and when the server closes', async () => {
  const api = await TestApi.start()
  const leaving = new AbortController()
  const timed = await api.watch(CONFIG_MAPS, { timeoutSeconds: '5' })
  const left = await api.watch(CONFIG_MAPS, {}, { signal: leaving.signal })
  const open = await api.watch(CONFIG_MAPS)
  const late = await api.watch(CONFIG_MAPS, {}, { signal: AbortSignal.abort() })
  await late.news()
  assert.ok(late.ended, 'one whose caller has left already never begins')
  await api.settle(4_900)
  assert.deepEqual([timed.ended, left.ended, open.ended], [false, false, false])
  leaving.abort()
  await api.settle(200)
  assert.deepEqual([timed.ended, left.ended, open.ended], [true, true, false])
  api.api.close()
  await open.news()
  assert.ok(open.ended)
  assert.deepEqual([...timed.events, ...left.events, ...open.events], [])
})

test('a watch that nobody reads ends instead of filling the memory', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  const answer = await api.api.handle({
    identity: IDENTITIES.admin,
    method: 'GET',
    path: CONFIG_MAPS,
    query: new URLSearchParams({ watch: 'true' }),
  })
  assert.ok('watch' in answer)
  for (let count = 0; count < 10_010; count += 1) await api.merge(`${CONFIG_MAPS}/a`, { data: { a: `${count + 2}` } })
  let seen = 0
  for await (const event of answer.watch) seen += event.type === 'ERROR' ? 0 : 1
  assert.equal(seen, 10_001, 'its reader comes back from the last event it got')
})

test("a kind's objects name themselves in a watch, and once in the list", async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  const [item] = (await api.must('GET', CONFIG_MAPS)).items
  assert.deepEqual([item.kind, item.apiVersion], [undefined, undefined], 'as the real server does with its own kinds')
  const watched = await api.watch(CONFIG_MAPS)
  await watched.news()
  assert.equal((watched.events[0] as any).object.kind, 'ConfigMap')
})
