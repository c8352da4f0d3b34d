/** Lists: pages, resource versions, selectors. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'
import { configMap, pod, session } from '../objects.ts'

const names = ({ items }: { items: { metadata: { name: string } }[] }): string[] => items.map(({ metadata }) => metadata.name)
/** Of this kind no controller makes one in a new namespace. */
const secret = (name: string): object => ({ metadata: { name, labels: { tier: 'x' } } })
const tier = { labelSelector: 'tier' }

conformance('a list comes in pages', async (on) => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) await on.make('secrets', secret(name))
  const first = await on.call('GET', on.at('secrets'), { query: { limit: '2', ...tier } })
  assert.deepEqual(names(first.body), ['a', 'b'])
  const second = await on.call('GET', on.at('secrets'), { query: { limit: '2', ...tier, continue: first.body.metadata.continue } })
  assert.deepEqual(names(second.body), ['c', 'd'])
  const third = await on.call('GET', on.at('secrets'), { query: { limit: '2', ...tier, continue: second.body.metadata.continue } })
  assert.deepEqual(names(third.body), ['e'])
  assert.ok(!third.body.metadata.continue)
  await on.call('GET', on.at('secrets'), { query: { limit: '5', ...tier } })
  await on.call('GET', on.at('secrets'), { query: { limit: '0', ...tier } })
  await on.call('GET', on.at('secrets'), { query: { limit: '2', resourceVersion: '0', ...tier } })
  for (const name of ['a', 'b', 'c']) await on.make('agentsessions', session(name))
  const own = await on.call('GET', on.at('agentsessions'), { query: { limit: '2' } })
  assert.equal(own.body.metadata.remainingItemCount, 1)
  await on.call('GET', on.at('agentsessions'), { query: { limit: '2', continue: own.body.metadata.continue } })
})

conformance('a continue token that is none is refused', async (on) => {
  for (const name of ['a', 'b', 'c']) await on.make('secrets', secret(name))
  const { body } = await on.call('GET', on.at('secrets'), { query: { limit: '1', ...tier } })
  const token: string = body.metadata.continue
  for (const garbage of ['garbage', Buffer.from('{"v":"meta.k8s.io/v1"}').toString('base64url'), Buffer.from('[]').toString('base64url')])
    assert.equal((await on.call('GET', on.at('secrets'), { query: { limit: '1', continue: garbage }, ...WORDS })).status, 400)
  await on.call('GET', on.at('secrets'), { query: { limit: '1', continue: token, resourceVersion: '1' } })
  await on.call('GET', on.at('secrets'), { query: { limit: '1', continue: token, resourceVersion: '0', ...tier } })
  await on.call('GET', on.at('secrets'), { query: { limit: 'many' } })
  await on.call('GET', on.at('secrets'), { query: { limit: '-1', ...tier } })
})

conformance('pages of a list that changes meanwhile', async (on) => {
  for (const name of ['a', 'b', 'c', 'd']) await on.make('secrets', secret(name))
  const first = await on.call('GET', on.at('secrets'), { query: { limit: '2', ...tier } })
  await on.call('DELETE', on.at('secrets', 'c'))
  await on.make('secrets', secret('e'))
  await on.call('GET', on.at('secrets'), {
    query: { limit: '5', ...tier, continue: first.body.metadata.continue },
    differs: 'pages-by-key',
    differsAt: ['body.items'],
  })
})

conformance('a list may ask for how new it is', async (on) => {
  const made = await on.make('secrets', secret('a'))
  const { resourceVersion } = made.metadata
  const list = (query: Record<string, string>) => on.call('GET', on.at('secrets'), { query: { ...tier, ...query } })
  await list({ resourceVersion })
  await list({ resourceVersion, resourceVersionMatch: 'NotOlderThan' })
  await list({ resourceVersion: '0', resourceVersionMatch: 'NotOlderThan' })
  await list({ resourceVersion: '0', resourceVersionMatch: 'Exact' })
  await list({ resourceVersionMatch: 'Exact' })
  await list({ resourceVersion, resourceVersionMatch: 'Sideways' })
  await list({ resourceVersion: 'garbage' })
  await list({ resourceVersion: '999999999' })
  await list({ resourceVersion: '999999999', resourceVersionMatch: 'Exact' })
  await on.call('GET', on.at('secrets', 'a'), { query: { resourceVersion: '0' } })
  await on.call('GET', on.at('secrets', 'a'), { query: { resourceVersion: 'garbage' } })
  await on.call('GET', on.at('secrets', 'a'), { query: { resourceVersion: '999999999' } })
})

conformance('label selectors', async (on) => {
  await on.make('configmaps', configMap('a', {}, { labels: { tier: 'x', 'carrel.dev/kind': 'one' } }))
  await on.make('configmaps', configMap('b', {}, { labels: { tier: 'y' } }))
  await on.make('configmaps', configMap('c', {}, { labels: { other: '' } }))
  const good = [
    'tier=x',
    'tier==x',
    'tier!=x,tier',
    'tier in (x,y)',
    'tier in ( x , z )',
    'tier notin (x),tier',
    'tier',
    '!tier,other',
    'other=',
    'carrel.dev/kind=one',
    'tier in (x,y),!carrel.dev/kind',
    ' tier = x ',
    'tier=x,',
  ]
  for (const labelSelector of good) {
    const { status, body } = await on.ask('GET', on.at('configmaps'), { query: { labelSelector } })
    on.record(labelSelector, { status, found: status === 200 ? names(body) : body })
  }
  for (const labelSelector of [
    '!!',
    '=',
    'tier in x',
    'tier in (x',
    'a b',
    'tier=a b',
    'tier=_',
    'a/b/c=d',
    'tier>x',
    'tier in ()',
    ',',
    '!tier=x',
    'tier=x y',
  ])
    await on.call('GET', on.at('configmaps'), { query: { labelSelector } })
})

conformance('field selectors', async (on) => {
  await on.make('configmaps', configMap('a'))
  await on.make('pods', pod('a'))
  await on.make(
    'pods',
    pod('b', ({ spec }) => Object.assign(spec, { nodeName: 'nowhere' })),
  )
  await on.make('secrets', { metadata: { name: 'a' }, type: 'carrel.dev/key' })
  await on.make('agentsessions', session('a'))
  const good = [
    ['configmaps', 'metadata.name=a'],
    ['configmaps', `metadata.name!=a,metadata.namespace=${on.namespace},metadata.name!=kube-root-ca.crt`],
    ['configmaps', 'metadata.name==a'],
    ['pods', 'spec.nodeName=nowhere'],
    ['pods', 'spec.nodeName='],
    ['pods', 'spec.nodeName!=nowhere'],
    ['pods', 'status.phase=Pending,metadata.name=a'],
    ['secrets', 'type=carrel.dev/key'],
    ['agentsessions', 'metadata.name=a'],
    ['agentsessions', `metadata.namespace=${on.namespace}`],
  ] as const
  for (const [resource, fieldSelector] of good) {
    const { status, body } = await on.ask('GET', on.at(resource), { query: { fieldSelector } })
    on.record(fieldSelector, { status, found: status === 200 ? names(body) : body })
  }
  for (const [resource, fieldSelector] of [
    ['configmaps', 'data.a=1'],
    ['configmaps', 'metadata.labels.a=1'],
    ['configmaps', 'metadata.name'],
    ['configmaps', 'metadata.name>a'],
    ['pods', 'spec.image=1'],
    ['secrets', 'data.a=1'],
    ['leases', 'spec.holderIdentity=a'],
    ['controllerrevisions', 'revision=1'],
    ['events', 'note=1'],
    ['newevents', 'note=1'],
    ['agentsessions', 'spec.endpoint=DEFAULT'],
    ['agentruntimes', 'status.phase=Ready'],
  ] as const)
    assert.equal((await on.call('GET', on.at(resource), { query: { fieldSelector } })).status, 400)
})
