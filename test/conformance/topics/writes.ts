/** Creating and updating: names, defaults, conflicts, generation, status, dry runs. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS, type Differs } from '../differences.ts'
import { configMap, pod, runtime, session } from '../objects.ts'
import type { Loose } from '../wire.ts'

conformance('a created object comes back with its defaults', async (on) => {
  await on.make('configmaps', configMap('a'))
  await on.make('pods', pod('a'))
  await on.make('secrets', { metadata: { name: 'a' }, stringData: { key: 'value' } })
  await on.make('serviceaccounts', { metadata: { name: 'a' } })
  await on.make('leases', { metadata: { name: 'a' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 15 } })
  await on.make('controllerrevisions', { metadata: { name: 'a' }, revision: 1, data: { spec: { a: 1 } } })
  await on.make('agentruntimes', runtime('a'))
  await on.make('agentsessions', session('a'))
  for (const resource of [
    'configmaps',
    'pods',
    'secrets',
    'serviceaccounts',
    'leases',
    'controllerrevisions',
    'agentruntimes',
    'agentsessions',
  ] as const)
    assert.equal((await on.call('GET', on.at(resource, 'a'))).status, 200)
})

conformance('a second object of one name is refused', async (on) => {
  await on.make('configmaps', configMap('a'))
  assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('a') })).body.reason, 'AlreadyExists')
  await on.make('agentsessions', session('a'))
  assert.equal((await on.call('POST', on.at('agentsessions'), { body: session('a') })).status, 409)
})

conformance('an update with an old resourceVersion is refused', async (on) => {
  const first = await on.make('configmaps', configMap('a'))
  await on.call('PUT', on.at('configmaps', 'a'), { body: { ...first, data: { a: '2' } } })
  assert.equal((await on.call('PUT', on.at('configmaps', 'a'), { body: { ...first, data: { a: '3' } } })).body.reason, 'Conflict')
  const made = await on.make('agentsessions', session('a'))
  await on.call('PUT', on.at('agentsessions', 'a'), { body: { ...made, spec: { ...made.spec, stopThrough: 1 } } })
  assert.equal(
    (await on.call('PUT', on.at('agentsessions', 'a'), { body: { ...made, spec: { ...made.spec, stopThrough: 1 } } })).status,
    409,
  )
})

conformance('a name is made from generateName', async (on) => {
  const made = await on.ask('POST', on.at('configmaps'), { body: { metadata: { generateName: 'made-' } } })
  assert.match(made.body.metadata.name, /^made-[a-z0-9]{5}$/)
  on.mask(made.body.metadata.name, 'made-#####')
  on.record('made', { status: made.status, body: made.body })
  const long = await on.ask('POST', on.at('configmaps'), { body: { metadata: { generateName: 'x'.repeat(253) } } })
  on.record('of a long prefix', { status: long.status, length: long.body.metadata.name.length })
  for (const generateName of ['x'.repeat(300), 'Bad_', 'a..', '-']) {
    const refused = await on.ask('POST', on.at('configmaps'), { body: { metadata: { generateName } } })
    on.record(generateName, {
      status: refused.status,
      causes: refused.body.details.causes.map(({ field, reason }: Loose) => ({ field, reason })),
    })
  }
  const both = await on.call('POST', on.at('configmaps'), { body: { metadata: { name: 'given', generateName: 'made-' } } })
  assert.equal(both.body.metadata.name, 'given')
  assert.equal((await on.call('POST', on.at('configmaps'), { body: { metadata: {} } })).status, 422)
  assert.equal((await on.call('POST', on.at('agentsessions'), { body: session('', ({ metadata }) => delete metadata.name) })).status, 422)
})

conformance('names are checked', async (on) => {
  for (const name of ['A', 'a_b', '-a', 'a-', 'a..b', '.', 'x'.repeat(254), 'ü', 'a/b', 'a%b']) {
    assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap(name) })).status, 422, name)
    assert.equal((await on.call('POST', on.at('agentsessions'), { body: session(name) })).status, 422, name)
  }
  assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('x'.repeat(253)) })).status, 201)
  assert.equal((await on.call('POST', on.at('pods'), { body: pod('a.b'), differs: 'checked-less', differsAt: ['warning'] })).status, 201)
  assert.equal(
    (await on.call('POST', on.at('controllerrevisions'), { body: { metadata: { name: 'a.b' }, revision: 1, data: {} } })).status,
    201,
  )
})

conformance('labels and annotations are checked', async (on) => {
  const labelled: object[] = [
    { 'a b': 'x' },
    { a: 'x y' },
    { a: 'x'.repeat(64) },
    { ['x'.repeat(64)]: 'a' },
    { 'a/b/c': 'x' },
    { '/a': 'x' },
    { 'A.b/c': 'x' },
    { '': 'x' },
  ]
  for (const labels of labelled) {
    assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('a', {}, { labels }) })).status, 422, JSON.stringify(labels))
  }
  for (const annotations of [{ 'a b': 'x' }, { 'a/b/c': 'x' }, { '': 'x' }])
    assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('a', {}, { annotations }) })).status, 422)
  const big = await on.ask('POST', on.at('configmaps'), { body: configMap('a', {}, { annotations: { a: 'x'.repeat(256 * 1024) } }) })
  on.record('large annotations', big.body)
  assert.equal(big.status, 422)
  await on.make('configmaps', configMap('a', {}, { annotations: { 'A.B/c': 'any text: ü' }, labels: { 'carrel.dev/a': '' } }))
})

conformance('what an update may not change of the metadata', async (on) => {
  const made = await on.make('configmaps', configMap('a'))
  const own = await on.make('agentsessions', session('a'))
  const put = (body: Loose, metadata: object, differs: Differs = {}, path = on.at('configmaps', 'a')) =>
    on.call('PUT', path, { body: { ...body, metadata: { ...body.metadata, ...metadata } }, ...differs })
  await put(made, { uid: '00000000-0000-4000-8000-000000000000' }, WORDS)
  await put(made, { uid: undefined, resourceVersion: undefined, creationTimestamp: undefined, labels: { a: '1' } })
  await put(made, { resourceVersion: undefined, creationTimestamp: '2001-01-01T00:00:00Z', generation: 7, labels: { a: '2' } })
  await put(made, { resourceVersion: 'garbage' })
  await put(made, { resourceVersion: undefined, name: 'other' })
  await put(made, { resourceVersion: undefined, namespace: 'other' })
  await put(own, { resourceVersion: undefined }, {}, on.at('agentsessions', 'a'))
  await put(own, { generation: 7, creationTimestamp: '2001-01-01T00:00:00Z', labels: { a: '1' } }, {}, on.at('agentsessions', 'a'))
  await on.call('PUT', on.at('agentsessions', 'none'), { body: session('none') })
  await on.call('PUT', on.at('configmaps', 'none'), { body: { ...configMap('none'), metadata: { name: 'none', uid: 'some' } } })
  await on.call('POST', on.at('configmaps'), { body: configMap('b', {}, { resourceVersion: '1' }) })
  await on.call('POST', on.at('configmaps'), { body: configMap('b', {}, { namespace: 'other' }) })
  await on.call('POST', on.at('configmaps'), { body: { ...configMap('b'), kind: 'Secret' }, ...WORDS })
  await on.call('POST', on.at('configmaps'), { body: { ...configMap('b'), apiVersion: 'v2' }, ...WORDS })
  await on.call('POST', on.at('configmaps'), { body: { metadata: { name: 'bare' } } })
})

conformance('an update that changes nothing writes nothing', async (on) => {
  for (const [resource, object] of [
    ['configmaps', configMap('a')],
    ['agentsessions', session('a')],
    ['pods', pod('a')],
    ['leases', { metadata: { name: 'a' }, spec: { holderIdentity: 'me' } }],
  ] as const) {
    const made = await on.make(resource, object)
    const again = await on.call('PUT', on.at(resource, 'a'), { body: made })
    assert.equal(again.body.metadata.resourceVersion, made.metadata.resourceVersion, resource)
  }
})

conformance('a dry run answers and changes nothing', async (on) => {
  const dryRun = { query: { dryRun: 'All' } }
  assert.equal((await on.call('POST', on.at('configmaps'), { ...dryRun, body: configMap('a') })).status, 201)
  assert.equal((await on.call('GET', on.at('configmaps', 'a'))).status, 404)
  const made = await on.make('agentsessions', session('a'))
  await on.call('PUT', on.at('agentsessions', 'a'), { ...dryRun, body: { ...made, spec: { ...made.spec, stopThrough: 1 } } })
  await on.call('PATCH', on.at('agentsessions', 'a'), { ...dryRun, body: { spec: { stopThrough: 1 } } })
  await on.call('PATCH', on.at('agentsessions', 'a', 'status'), { ...dryRun, body: { status: { incarnation: 1, phase: 'Running' } } })
  await on.call('DELETE', on.at('agentsessions', 'a'), dryRun)
  assert.deepEqual((await on.call('GET', on.at('agentsessions', 'a'))).body, made)
  await on.call('POST', on.at('configmaps'), { query: { dryRun: 'Some' }, body: configMap('a') })
  await on.call('POST', on.at('configmaps'), { query: { dryRun: '' }, body: configMap('b') })
  await on.call('POST', on.at('agentsessions'), { ...dryRun, body: session('a') })
})
