/** Merge, JSON and strategic patches; what they refuse, and their preconditions. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { CAUSES, WORDS } from '../differences.ts'
import { configMap, pod, session } from '../objects.ts'

const JSON_PATCH = 'application/json-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'

conformance('a merge patch sets, removes, and leaves what it does not name', async (on) => {
  await on.make('configmaps', configMap('a', { one: '1', two: '2' }))
  const at = on.at('configmaps', 'a')
  assert.deepEqual((await on.call('PATCH', at, { body: { data: { two: null, three: '3' } } })).body.data, { one: '1', three: '3' })
  await on.call('PATCH', at, { body: {} })
  await on.call('PATCH', at, { body: { metadata: { labels: { a: 'b' } } } })
  await on.call('PATCH', at, { body: { metadata: { labels: { a: null } } } })
  await on.call('PATCH', at, { body: { metadata: { name: 'other' } } })
  await on.call('PATCH', at, { body: { metadata: { namespace: 'other' } } })
  await on.call('PATCH', at, { body: { kind: 'Secret' }, ...WORDS })
  await on.call('PATCH', at, { body: { apiVersion: 'v2' }, ...WORDS })
  await on.call('PATCH', at, { body: { data: 'text' }, ...WORDS })
  await on.call('PATCH', at, { body: { data: { a: 1 } }, ...WORDS })
  await on.call('PATCH', at, { body: '[]', ...WORDS })
  await on.call('PATCH', at, { body: '"text"', ...WORDS })
  await on.call('PATCH', at, { body: '{', ...WORDS })
  await on.call('PATCH', on.at('configmaps', 'none'), { body: {} })
})

conformance('a JSON patch applies whole or not at all', async (on) => {
  await on.make('configmaps', configMap('a', { one: '1', two: '2' }))
  const at = on.at('configmaps', 'a')
  const patch = (...operations: object[]) => on.call('PATCH', at, { contentType: JSON_PATCH, body: operations, ...WORDS })
  await patch({ op: 'test', path: '/data/one', value: '1' }, { op: 'replace', path: '/data/one', value: '11' })
  await patch({ op: 'add', path: '/data/a~1b~0c', value: 'x' })
  await patch({ op: 'replace', path: '/data/one', value: 'never' }, { op: 'test', path: '/data/two', value: 'wrong' })
  await patch({ op: 'move', from: '/data/two', path: '/data/three' })
  await patch({ op: 'copy', from: '/data/three', path: '/data/four' })
  await patch({ op: 'remove', path: '/data/none' })
  await patch({ op: 'replace', path: '/data/none', value: 'x' })
  await patch({ op: 'add', path: '/none/none', value: 'x' })
  await patch({ op: 'explode', path: '/data/one' })
  await patch({ op: 'test', path: '/metadata/resourceVersion', value: '1' }, { op: 'remove', path: '/data/one' })
  await patch({ op: 'add', path: '/metadata/finalizers', value: ['carrel.dev/a'] })
  await patch({ op: 'add', path: '/metadata/finalizers/-', value: 'carrel.dev/b' })
  await patch({ op: 'remove', path: '/metadata/finalizers/0' })
  await patch({ op: 'add', path: '/metadata/finalizers/9', value: 'carrel.dev/c' })
  await on.call('PATCH', at, { contentType: JSON_PATCH, body: { op: 'remove' }, ...WORDS })
  await on.call('PATCH', at, { contentType: JSON_PATCH, body: '[1]', ...WORDS })
  await on.call('GET', at)
})

conformance('a strategic patch merges lists by their keys', async (on) => {
  await on.make(
    'pods',
    pod('a', ({ metadata }) => Object.assign(metadata, { labels: { a: '1' }, finalizers: ['carrel.dev/a'] })),
  )
  const at = on.at('pods', 'a')
  const patch = (body: object) => on.call('PATCH', at, { contentType: STRATEGIC, body })
  await patch({ spec: { containers: [{ name: 'agent', image: 'agent:2' }] } })
  await patch({ spec: { containers: [{ name: 'other', image: 'other:1' }] } })
  await patch({ metadata: { finalizers: ['carrel.dev/b'] } })
  await patch({ metadata: { $deleteFromPrimitiveList: undefined, '$deleteFromPrimitiveList/finalizers': ['carrel.dev/a'] } })
  await patch({ metadata: { labels: { a: null, b: '2' } } })
  await patch({ metadata: { labels: { $patch: 'replace', c: '3' } } })
  await patch({ spec: { activeDeadlineSeconds: 60 } })
  await patch({ spec: { tolerations: [{ key: 'a', operator: 'Exists' }] } })
  await patch({ spec: { containers: [{ image: 'nameless:1' }] } })
  await patch({ spec: { $patch: 'explode' } })
  await on.call('PATCH', at, { contentType: STRATEGIC, body: '[]', ...WORDS })
  const refused = await on.call('PATCH', on.at('agentsessions', 'a'), { contentType: STRATEGIC, body: {}, ...WORDS })
  assert.equal(refused.status, 415)
})

conformance('a strategic patch orders what it merges', async (on) => {
  await on.make(
    'pods',
    pod('a', ({ metadata }) => (metadata.finalizers = ['carrel.dev/a', 'carrel.dev/b'])),
  )
  const finalizers = async (list: string[]): Promise<void> => {
    const { body } = await on.call('PATCH', on.at('pods', 'a'), { contentType: STRATEGIC, body: { metadata: { finalizers: list } } })
    assert.equal(new Set(body.metadata.finalizers).size, body.metadata.finalizers.length)
  }
  await finalizers(['carrel.dev/c', 'carrel.dev/a'])
  await finalizers(['carrel.dev/b', 'carrel.dev/c', 'carrel.dev/d'])
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: '2026-11-24T10:00:00Z' })
  const conditions = (types: string[], order?: string[]) => {
    const ordered = order ? { '$setElementOrder/conditions': order.map((type) => ({ type })) } : {}
    return on.call('PATCH', on.at('pods', 'a', 'status'), {
      contentType: STRATEGIC,
      body: { status: { conditions: types.map(condition), ...ordered } },
    })
  }
  await conditions(['A', 'B', 'C'])
  await conditions(['D'], ['D', 'C', 'A'])
  await conditions(['E', 'C'], ['A', 'E', 'C'])
  await conditions(['A', 'F', 'B'])
  await on.call('PATCH', on.at('pods', 'a', 'status'), {
    contentType: STRATEGIC,
    body: { status: { conditions: [{ type: 'B', $patch: 'delete' }, condition('G')] } },
  })
  await on.call('PATCH', on.at('pods', 'a', 'status'), {
    contentType: STRATEGIC,
    body: { status: { conditions: [{ $patch: 'replace' }, condition('H'), condition('A')] } },
  })
})

conformance('a patch with a resourceVersion or a uid is for that object alone', async (on) => {
  const made = await on.make('configmaps', configMap('a'))
  const own = await on.make('agentsessions', session('a'))
  for (const [at, object] of [
    [on.at('configmaps', 'a'), made],
    [on.at('agentsessions', 'a'), own],
  ]) {
    const { uid, resourceVersion } = object.metadata
    assert.equal((await on.call('PATCH', at, { body: { metadata: { uid, resourceVersion, labels: { a: '1' } } } })).status, 200)
    assert.equal((await on.call('PATCH', at, { body: { metadata: { resourceVersion, labels: { a: '2' } } } })).status, 409)
    await on.call('PATCH', at, { body: { metadata: { uid: '00000000-0000-4000-8000-000000000000', labels: { a: '3' } } }, ...CAUSES })
    await on.call('PATCH', at, { body: { metadata: { resourceVersion: 'garbage' } } })
    await on.call('PATCH', at, { body: { metadata: { resourceVersion: null, uid: null, creationTimestamp: null, labels: { a: '4' } } } })
  }
})

conformance('a patch of an unknown type is refused', async (on) => {
  await on.make('configmaps', configMap('a'))
  for (const contentType of ['application/json', 'text/plain', 'application/strategic-merge-patch', 'application/merge-patch+yaml', '']) {
    assert.equal((await on.call('PATCH', on.at('configmaps', 'a'), { contentType, body: '{}', ...WORDS })).status, 415, contentType)
  }
  const apply = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b' }, data: { a: '1' } }
  await on.call('PATCH', on.at('configmaps', 'b'), {
    contentType: 'application/apply-patch+yaml',
    query: { fieldManager: 'test' },
    body: apply,
    differs: 'no-server-side-apply',
  })
})
