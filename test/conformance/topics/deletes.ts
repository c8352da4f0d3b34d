/** DELETE: answers, preconditions, finalizers, grace, collections. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { CAUSES, WORDS } from '../differences.ts'
import { configMap, pod, runtime, session } from '../objects.ts'
import type { Resource } from '../paths.ts'

const OTHER_UID = '00000000-0000-4000-8000-000000000000'

conformance('a deleted object is answered as its kind has it, and is gone', async (on) => {
  const objects: [Resource, object][] = [
    ['configmaps', configMap('a')],
    ['secrets', { metadata: { name: 'a' } }],
    ['pods', pod('a')],
    ['serviceaccounts', { metadata: { name: 'a' } }],
    ['leases', { metadata: { name: 'a' } }],
    ['controllerrevisions', { metadata: { name: 'a' }, revision: 1, data: {} }],
    ['agentruntimes', runtime('a')],
    ['agentsessions', session('a')],
  ]
  for (const [resource, object] of objects) {
    await on.make(resource, object)
    assert.equal((await on.call('DELETE', on.at(resource, 'a'))).status, 200)
    assert.equal((await on.call('GET', on.at(resource, 'a'))).status, 404)
    assert.equal((await on.call('DELETE', on.at(resource, 'a'))).status, 404)
  }
})

conformance('a DELETE with a uid or a resourceVersion is for that object alone', async (on) => {
  for (const [resource, object] of [
    ['configmaps', configMap('a')],
    ['agentsessions', session('a')],
    ['pods', pod('a')],
  ] as const) {
    const made = await on.make(resource, object)
    const at = on.at(resource, 'a')
    const { uid, resourceVersion } = made.metadata
    assert.equal((await on.call('DELETE', at, { body: { preconditions: { uid: OTHER_UID } } })).status, 409)
    await on.call('PATCH', at, { body: { metadata: { labels: { a: '1' } } } })
    const old = await on.call('DELETE', at, { body: { preconditions: { resourceVersion } } })
    assert.equal(old.status, 409)
    assert.equal((await on.call('DELETE', at, { body: { preconditions: { uid } } })).status, 200)
    assert.equal((await on.call('GET', at)).status, 404)
  }
})

conformance('what is no delete options is refused', async (on) => {
  await on.make('configmaps', configMap('a'))
  const at = on.at('configmaps', 'a')
  await on.call('DELETE', at, { body: { propagationPolicy: 'Sideways' } })
  await on.call('DELETE', at, { body: { gracePeriodSeconds: 'soon' }, ...WORDS })
  await on.call('DELETE', at, { body: { preconditions: 'text' }, ...WORDS })
  await on.call('DELETE', at, { body: '{', ...WORDS })
  await on.call('DELETE', at, { query: { gracePeriodSeconds: 'soon' } })
  await on.call('DELETE', at, { query: { propagationPolicy: 'Sideways' } })
  await on.call('DELETE', at, { query: { dryRun: 'Some' } })
  await on.call('DELETE', at, { body: { dryRun: ['All'] } })
  await on.call('DELETE', at, { query: { dryRun: 'All' } })
  await on.call('DELETE', at, { body: { dryRun: ['Some'] } })
  await on.call('DELETE', at, { body: { kind: 'Pod', apiVersion: 'v1' }, ...WORDS })
  await on.call('DELETE', at, { body: { kind: 'DeleteOptions', apiVersion: 'v1', orphanDependents: true, propagationPolicy: 'Orphan' } })
  assert.equal((await on.call('DELETE', at, { body: { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: -1 } })).status, 200)
})

conformance('an object with finalizers goes with the last of them', async (on) => {
  for (const [resource, object] of [
    ['configmaps', configMap('a', {}, { finalizers: ['carrel.dev/a', 'carrel.dev/b'] })],
    ['agentsessions', session('a', ({ metadata }) => Object.assign(metadata, { finalizers: ['carrel.dev/a', 'carrel.dev/b'] }))],
    ['pods', pod('a', ({ metadata }) => Object.assign(metadata, { finalizers: ['carrel.dev/a', 'carrel.dev/b'] }))],
  ] as const) {
    const at = on.at(resource, 'a')
    await on.make(resource, object)
    const marked = await on.call('DELETE', at)
    assert.ok(marked.body.metadata.deletionTimestamp)
    assert.equal((await on.call('DELETE', at)).status, 200, 'and again')
    await on.call('PATCH', at, {
      body: { metadata: { finalizers: ['carrel.dev/a', 'carrel.dev/b', 'carrel.dev/late'] } },
      ...(resource === 'agentsessions' ? CAUSES : {}),
    })
    await on.call('PATCH', at, { body: { metadata: { deletionTimestamp: null } } })
    await on.call('PATCH', at, { body: { metadata: { finalizers: ['carrel.dev/b'] } } })
    await on.call('POST', on.at(resource), { body: object })
    assert.equal((await on.call('GET', at)).status, 200)
    assert.equal((await on.call('PATCH', at, { body: { metadata: { finalizers: null } } })).status, 200)
    assert.equal((await on.call('GET', at)).status, 404)
  }
  await on.call('POST', on.at('configmaps'), { body: configMap('b', {}, { finalizers: ['no domain'] }) })
})

conformance('a pod on a node is marked, and its kubelet deletes it without grace', async (on) => {
  const onNode = (name: string, spec: object = {}) => pod(name, (made) => Object.assign(made.spec, { nodeName: 'nowhere', ...spec }))
  await on.make('pods', onNode('a'))
  const at = on.at('pods', 'a')
  const marked = await on.call('DELETE', at)
  assert.equal(marked.body.metadata.deletionGracePeriodSeconds, 30)
  const shorter = await on.call('DELETE', at, { body: { gracePeriodSeconds: 10 } })
  assert.equal(shorter.body.metadata.deletionGracePeriodSeconds, 10)
  const longer = await on.call('DELETE', at, { body: { gracePeriodSeconds: 20 } })
  assert.equal(longer.body.metadata.deletionGracePeriodSeconds, 10)
  const seconds = (timestamp: string): number => Date.parse(timestamp) / 1000
  on.record(
    'the date moves with the grace',
    seconds(marked.body.metadata.deletionTimestamp) - seconds(shorter.body.metadata.deletionTimestamp),
  )
  await on.call('PATCH', at, { body: { metadata: { labels: { still: 'there' } } } })
  await on.call('PATCH', on.at('pods', 'a', 'status'), { body: { status: { phase: 'Running' } } })
  assert.equal((await on.call('DELETE', at, { body: { gracePeriodSeconds: 0 } })).status, 200)
  assert.equal((await on.call('GET', at)).status, 404)

  await on.make('pods', onNode('own', { terminationGracePeriodSeconds: 7 }))
  assert.equal((await on.call('DELETE', on.at('pods', 'own'))).body.metadata.deletionGracePeriodSeconds, 7)
  await on.make('pods', onNode('query'))
  assert.equal(
    (await on.call('DELETE', on.at('pods', 'query'), { query: { gracePeriodSeconds: '3' } })).body.metadata.deletionGracePeriodSeconds,
    3,
  )
  await on.make('pods', onNode('none', { terminationGracePeriodSeconds: 0 }))
  await on.call('DELETE', on.at('pods', 'none'))
  await on.call('GET', on.at('pods', 'none'))
  await on.make('pods', onNode('over'))
  await on.call('PATCH', on.at('pods', 'over', 'status'), { body: { status: { phase: 'Succeeded' } } })
  await on.call('DELETE', on.at('pods', 'over'))
  assert.equal((await on.call('GET', on.at('pods', 'over'))).status, 404, 'one that is over has no grace')
})

conformance('a collection is deleted by its selectors', async (on) => {
  for (const [name, tier] of Object.entries({ a: 'x', b: 'x', c: 'y' }))
    await on.make('configmaps', configMap(name, {}, { labels: { tier } }))
  await on.call('DELETE', on.at('configmaps'), { query: { labelSelector: 'tier=x', dryRun: 'All' } })
  assert.equal((await on.call('DELETE', on.at('configmaps'), { query: { labelSelector: 'tier=x' } })).body.items.length, 2)
  const { body } = await on.call('GET', on.at('configmaps'), { query: { labelSelector: 'tier' } })
  assert.equal(body.items.length, 1)
  await on.call('DELETE', on.at('configmaps'), { query: { fieldSelector: 'metadata.name=none' } })
  await on.call('DELETE', on.at('configmaps'), { query: { labelSelector: '!!' } })
  await on.make('agentsessions', session('a'))
  await on.make(
    'agentsessions',
    session('b', ({ metadata }) => Object.assign(metadata, { finalizers: ['carrel.dev/a'] })),
  )
  await on.call('DELETE', on.at('agentsessions'))
  await on.call('GET', on.at('agentsessions'))
  await on.call('DELETE', '/api/v1/configmaps')
  await on.call('DELETE', '/api/v1/namespaces')
})
