/** Secrets, config maps, leases, controller revisions, service accounts, nodes. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'
import { configMap } from '../objects.ts'

conformance('secrets', async (on) => {
  const text = (value: string): string => Buffer.from(value).toString('base64')
  await on.make('secrets', { metadata: { name: 'a' }, data: { a: text('1'), b: text('2') }, stringData: { b: 'over', c: 'text' } })
  await on.call('PATCH', on.at('secrets', 'a'), { body: { stringData: { d: 'more' } } })
  assert.equal((await on.call('PATCH', on.at('secrets', 'a'), { body: { type: 'carrel.dev/other' } })).status, 422)
  await on.call('PATCH', on.at('secrets', 'a'), { body: { data: { a: null } } })
  for (const data of [{ a: 'not base64!' }, { 'a b': text('1') }, { '': text('1') }, { '..': text('1') }, { a: 1 }])
    await on.call('POST', on.at('secrets'), { body: { metadata: { name: 'b' }, data }, ...WORDS })
  await on.make('secrets', { metadata: { name: 'frozen' }, immutable: true, data: { a: text('1') } })
  assert.equal((await on.call('PATCH', on.at('secrets', 'frozen'), { body: { data: { a: text('2') } } })).status, 422)
  assert.equal((await on.call('PATCH', on.at('secrets', 'frozen'), { body: { immutable: false } })).status, 422)
  assert.equal((await on.call('PATCH', on.at('secrets', 'frozen'), { body: { metadata: { labels: { a: 'b' } } } })).status, 200)
  await on.make('secrets', { metadata: { name: 'empty' } })
  await on.make('secrets', { metadata: { name: 'typed' }, type: 'carrel.dev/key', stringData: {} })
})

conformance('config maps', async (on) => {
  await on.make('configmaps', { metadata: { name: 'a' }, data: { a: 'ü' }, binaryData: { b: 'AQI=' } })
  await on.make('configmaps', { metadata: { name: 'empty' }, data: {} })
  for (const data of [{ 'a b': '1' }, { '.': '1' }, { ['x'.repeat(254)]: '1' }])
    assert.equal((await on.call('POST', on.at('configmaps'), { body: { metadata: { name: 'b' }, data } })).status, 422)
  await on.make('configmaps', { metadata: { name: 'frozen' }, immutable: true, data: { a: '1' } })
  for (const change of [{ data: { a: '2' } }, { immutable: null }, { data: { b: '1' }, immutable: false }])
    assert.equal((await on.call('PATCH', on.at('configmaps', 'frozen'), { body: change })).status, 422)
  await on.call('PUT', on.at('configmaps', 'made-by-put'), { body: configMap('made-by-put') })
})

conformance('leases', async (on) => {
  const spec = {
    holderIdentity: 'me',
    leaseDurationSeconds: 15,
    acquireTime: '2026-11-24T10:00:00.000000Z',
    renewTime: '2026-11-24T10:00:00.000000Z',
    leaseTransitions: 1,
  }
  const made = await on.make('leases', { metadata: { name: 'a' }, spec })
  await on.call('PUT', on.at('leases', 'a'), { body: { ...made, spec: { ...spec, renewTime: '2026-11-24T10:00:05.123456Z' } } })
  assert.equal((await on.call('PUT', on.at('leases', 'a'), { body: made })).status, 409)
  await on.call('PUT', on.at('leases', 'a'), { body: { ...made, metadata: { name: 'a' } } })
  await on.call('PUT', on.at('leases', 'b'), { body: { metadata: { name: 'b' }, spec } })
  await on.make('leases', { metadata: { name: 'bare' } })
  for (const wrong of [
    { leaseDurationSeconds: 0 },
    { leaseDurationSeconds: -1 },
    { leaseTransitions: -1 },
    { renewTime: 'now' },
    { leaseDurationSeconds: 'long' },
    { holderIdentity: 7 },
    { holderIdentity: '' },
  ])
    await on.call('POST', on.at('leases'), { body: { metadata: { name: 'wrong' }, spec: { ...spec, ...wrong } }, ...WORDS })
  await on.call('PATCH', on.at('leases', 'a'), { body: { spec: { holderIdentity: null, renewTime: '2026-11-24T10:00:05Z' } }, ...WORDS })
})

conformance('controller revisions', async (on) => {
  const made = await on.make('controllerrevisions', {
    metadata: { name: 'a' },
    revision: 1,
    data: { spec: { a: 1, b: null, c: [1.5, 'x'] } },
  })
  assert.equal((await on.call('PUT', on.at('controllerrevisions', 'a'), { body: { ...made, data: { spec: { a: 2 } } } })).status, 422)
  assert.equal((await on.call('PUT', on.at('controllerrevisions', 'a'), { body: { ...made, revision: 2 } })).status, 200)
  assert.equal((await on.call('PATCH', on.at('controllerrevisions', 'a'), { body: { metadata: { labels: { a: 'b' } } } })).status, 200)
  await on.call('POST', on.at('controllerrevisions'), { body: { metadata: { name: 'no-data' }, revision: 1 } })
  await on.call('POST', on.at('controllerrevisions'), { body: { metadata: { name: 'negative' }, revision: -1, data: {} } })
  await on.call('POST', on.at('controllerrevisions'), { body: { metadata: { name: 'no-revision' }, data: { a: 1 } } })
  await on.call('POST', on.at('controllerrevisions'), { body: { metadata: { name: 'text' }, revision: 'x', data: { a: 1 } } })
})

conformance('service accounts', async (on) => {
  await on.make('serviceaccounts', { metadata: { name: 'a' }, automountServiceAccountToken: false })
  await on.call('PATCH', on.at('serviceaccounts', 'a'), { body: { metadata: { labels: { a: 'b' } } } })
  await on.call('PUT', on.at('serviceaccounts', 'a'), { body: { metadata: { name: 'a' } } })
  await on.call('DELETE', on.at('serviceaccounts', 'a'))
})

conformance('nodes', async (on) => {
  const name = `${on.namespace}-node`
  const path = `/api/v1/nodes/${name}`
  await on.call('POST', '/api/v1/nodes', {
    body: { metadata: { name, labels: { a: 'b' } } },
    differs: 'nodes-are-plain',
    differsAt: ['body.spec', 'body.status'],
  })
  const conditions = [
    {
      type: 'Ready',
      status: 'True',
      lastHeartbeatTime: '2026-11-24T10:00:00Z',
      lastTransitionTime: '2026-11-24T10:00:00Z',
      reason: 'Up',
      message: 'it is',
    },
  ]
  await on.call('PATCH', `${path}/status`, {
    body: { status: { conditions, addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] } },
    differs: 'nodes-are-plain',
    differsAt: ['body.spec', 'body.status'],
  })
  await on.call('PATCH', path, {
    body: { status: { conditions: null } },
    differs: 'nodes-are-plain',
    differsAt: ['body.spec', 'body.status'],
  })
  await on.call('DELETE', path)
})
