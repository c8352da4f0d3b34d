import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CONFIG_MAPS, MERGE, TestApi, configMap, ownedBy } from './api-kit.ts'

const name = fc.constantFrom('a', 'b', 'c', 'd')
const step = fc.oneof(
  fc.record({
    do: fc.constant('create' as const),
    name,
    shown: fc.boolean(),
    held: fc.boolean(),
    owner: fc.option(name, { nil: undefined }),
  }),
  fc.record({ do: fc.constant('change' as const), name, shown: fc.boolean(), value: fc.nat({ max: 3 }) }),
  fc.record({ do: fc.constant('release' as const), name }),
  fc.record({ do: fc.constant('delete' as const), name }),
  fc.record({ do: fc.constant('settle' as const) }),
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

async function take(api: TestApi, action: Step): Promise<void> {
  if (action.do === 'settle') return api.settle()
  const path = `${CONFIG_MAPS}/${action.name}`
  if (action.do === 'create') {
    const owner = action.owner === undefined ? undefined : await api.send('GET', `${CONFIG_MAPS}/${action.owner}`)
    const owned = owner?.status === 200 ? ownedBy({ apiVersion: 'v1', kind: 'ConfigMap', ...owner.body }) : {}
    await api.send(
      'POST',
      CONFIG_MAPS,
      configMap(action.name, {
        labels: { shown: String(action.shown) },
        ...(action.held ? { finalizers: ['carrel.dev/held'] } : {}),
        ...owned,
      }),
    )
  } else if (action.do === 'change') {
    await api.send(
      'PATCH',
      path,
      { metadata: { labels: { shown: String(action.shown) } }, data: { a: String(action.value) } },
      { contentType: MERGE },
    )
  } else if (action.do === 'release') await api.send('PATCH', path, { metadata: { finalizers: null } }, { contentType: MERGE })
  else await api.send('DELETE', path)
}

/** What a client that listed and then watched believes. */
async function believed(api: TestApi, list: any, query: Record<string, string>): Promise<Map<string, any>> {
  const watched = await api.watch(CONFIG_MAPS, { ...query, resourceVersion: list.metadata.resourceVersion })
  await watched.news()
  const known = new Map<string, any>(list.items.map((item: any) => [item.metadata.name, { apiVersion: 'v1', kind: 'ConfigMap', ...item }]))
  let last = BigInt(list.metadata.resourceVersion)
  for (const { type, object } of watched.events as any[]) {
    const version = BigInt(object.metadata.resourceVersion)
    assert.ok(version > last, 'events come in the order of their resourceVersions, each once')
    last = version
    assert.equal(type === 'ADDED', !known.has(object.metadata.name), `${type} of ${object.metadata.name}`)
    if (type === 'DELETED') known.delete(object.metadata.name)
    else known.set(object.metadata.name, object)
  }
  return known
}

test('from any list on, the watch leads to what is: with and without a selector', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat({ max: 20 }), async (steps, listedAfter) => {
      const api = await TestApi.start()
      const queries: Record<string, string>[] = [{}, { labelSelector: 'shown=true' }, { fieldSelector: 'metadata.name!=a' }]
      for (const action of steps.slice(0, listedAfter)) await take(api, action)
      const lists = await Promise.all(queries.map((query) => api.must('GET', CONFIG_MAPS, undefined, { query })))
      for (const action of steps.slice(listedAfter)) await take(api, action)
      for (const [index, query] of queries.entries()) {
        const known = await believed(api, lists[index], query)
        const { items } = await api.must('GET', CONFIG_MAPS, undefined, { query })
        const actual = new Map(items.map((item: any) => [item.metadata.name, { apiVersion: 'v1', kind: 'ConfigMap', ...item }]))
        assert.deepEqual(new Map([...known].toSorted()), actual)
      }
    }),
    { numRuns: 200 },
  )
})
