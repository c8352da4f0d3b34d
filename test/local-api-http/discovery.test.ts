import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serve } from './served.ts'

const AGGREGATED =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json'

test('aggregated discovery names every kind once, with verbs, short names and subresources', async (t) => {
  const { send, api } = await serve(t)
  const found: { group: string; resource: any }[] = []
  for (const root of ['/api', '/apis']) {
    const { headers, json } = await send('GET', root, { headers: { accept: AGGREGATED } })
    assert.equal(headers['content-type'], 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList')
    for (const item of json.items)
      for (const version of item.versions) for (const resource of version.resources) found.push({ group: item.metadata.name, resource })
  }
  const names = found.map(({ group, resource }) => `${group}/${resource.resource}`).sort()
  assert.deepEqual(names, api.kinds.map(({ group, plural }) => `${group}/${plural}`).sort())
  const of = (name: string): any => found.find(({ group, resource }) => `${group}/${resource.resource}` === name)!.resource
  assert.deepEqual([of('carrel.dev/agentruntimes').shortNames, of('carrel.dev/agentruntimes').categories], [['art'], ['carrel']])
  assert.deepEqual(
    of('carrel.dev/agentsessions').subresources.map(({ subresource }: any) => subresource),
    ['status'],
  )
  assert.deepEqual(
    of('/pods').subresources.map(({ subresource }: any) => subresource),
    ['status', 'log', 'binding'],
  )
  assert.deepEqual(of('apiextensions.k8s.io/customresourcedefinitions').verbs, ['get', 'list', 'watch'])
  assert.deepEqual([of('/namespaces').scope, of('/secrets').scope], ['Cluster', 'Namespaced'])
})

test('clients that know only one answer for each group are served too', async (t) => {
  const { send } = await serve(t)
  assert.deepEqual((await send('GET', '/api')).json.versions, ['v1'])
  const { json } = await send('GET', '/apis')
  assert.equal(json.kind, 'APIGroupList')
  assert.ok(json.groups.some(({ name, preferredVersion }: any) => name === 'carrel.dev' && preferredVersion.version === 'v1alpha1'))
  assert.equal((await send('GET', '/apis/carrel.dev')).json.kind, 'APIGroup')
  const list = (await send('GET', '/apis/carrel.dev/v1alpha1')).json
  assert.deepEqual(
    list.resources.map(({ name }: any) => name),
    ['agentruntimes', 'agentruntimes/status', 'agentsessions', 'agentsessions/status'],
  )
  assert.equal((await send('GET', '/api/v1')).json.groupVersion, 'v1')
  for (const unknown of ['/apis/nothing.dev', '/apis/carrel.dev/v2', '/api/v2', '/apis/carrel.dev/v1alpha1/nothing', '/nothing']) {
    assert.equal((await send('GET', unknown)).status, 404, unknown)
  }
})

test('every reference in the OpenAPI documents is defined, and every writable kind validates fields', async (t) => {
  const { send, api } = await serve(t)
  const index = (await send('GET', '/openapi/v3')).json
  const groupVersions = new Set(api.kinds.map(({ group, version }) => (group === '' ? `api/${version}` : `apis/${group}/${version}`)))
  assert.deepEqual(new Set(Object.keys(index.paths)), groupVersions)
  const validated = new Set<string>()
  for (const { serverRelativeURL } of Object.values<any>(index.paths)) {
    assert.match(serverRelativeURL, /\?hash=[0-9A-F]{64}$/)
    const { text, json } = await send('GET', serverRelativeURL)
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) assert.ok(name! in json.components.schemas, name)
    for (const { patch } of Object.values<any>(json.paths)) {
      if (patch?.parameters.some(({ name }: any) => name === 'fieldValidation'))
        validated.add(patch['x-kubernetes-group-version-kind'].kind)
    }
  }
  for (const { kind, isReadOnly, isReview } of api.kinds) assert.equal(validated.has(kind), !isReadOnly && !isReview, kind)
  const old = await send('GET', '/openapi/v2')
  for (const [, name] of old.text.matchAll(/"#\/definitions\/([^"]+)"/g)) assert.ok(name! in old.json.definitions, name)
  assert.equal(old.text.includes('#/components'), false)
  assert.equal(
    (await send('GET', '/openapi/v2', { headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' } })).status,
    406,
  )
})

test('lists and objects come as tables or metadata only, when asked; refusals as they are', async (t) => {
  const { send } = await serve(t)
  const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  for (const name of ['a', 'b', 'c']) {
    await send('POST', '/api/v1/namespaces/default/configmaps', {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { secret: 'x' } },
    })
  }
  const list = await send('GET', '/api/v1/namespaces/default/configmaps?limit=2', { headers: table })
  assert.deepEqual([list.json.kind, list.json.rows.map(({ cells }: any) => cells[0])], ['Table', ['a', 'b']])
  assert.equal(list.json.metadata.remainingItemCount, 1)
  const next = await send('GET', `/api/v1/namespaces/default/configmaps?limit=2&continue=${list.json.metadata.continue}`, {
    headers: table,
  })
  assert.deepEqual(
    next.json.rows.map(({ cells }: any) => cells[0]),
    ['c'],
  )
  assert.equal(list.text.includes('secret'), false)
  const one = await send('GET', '/api/v1/namespaces/default/configmaps/a?includeObject=Object', { headers: table })
  assert.equal(one.json.rows[0].object.data.secret, 'x')
  const none = await send('GET', '/api/v1/namespaces/default/configmaps/a?includeObject=None', { headers: table })
  assert.equal(none.json.rows[0].object, null)
  const metadata = await send('GET', '/api/v1/namespaces/default/configmaps', {
    headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
  })
  assert.deepEqual(
    [metadata.json.kind, metadata.json.items.length, metadata.text.includes('secret')],
    ['PartialObjectMetadataList', 3, false],
  )
  const missing = await send('GET', '/api/v1/namespaces/default/configmaps/nothing', { headers: table })
  assert.deepEqual([missing.status, missing.json.kind, missing.json.reason], [404, 'Status', 'NotFound'])
  assert.equal((await send('GET', '/api/v1/namespaces', { headers: { accept: 'application/vnd.kubernetes.protobuf' } })).status, 406)
  assert.equal(
    (await send('GET', '/api/v1/namespaces', { headers: { accept: 'application/vnd.kubernetes.protobuf,application/json' } })).status,
    200,
  )
})
