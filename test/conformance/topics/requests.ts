/** What is no request that a server takes: methods, paths, bodies, media types. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { PATHS, WORDS } from '../differences.ts'
import { configMap, session } from '../objects.ts'

conformance('methods that a path does not have', async (on) => {
  await on.make('configmaps', configMap('a'))
  for (const [method, path] of [
    ['PUT', on.at('configmaps')],
    ['PATCH', on.at('configmaps')],
    ['POST', on.at('configmaps', 'a')],
    ['POST', '/api/v1/configmaps'],
    ['PUT', '/apis/carrel.dev/v1alpha1/agentsessions'],
    ['DELETE', on.at('agentsessions', 'a', 'status')],
    ['POST', on.at('agentsessions', 'a', 'status')],
    ['POST', on.at('pods', 'a', 'status')],
  ] as const)
    await on.call(method, path, { ...(method === 'DELETE' ? {} : { body: {} }), ...PATHS })
  await on.call('TRACE', on.at('configmaps', 'a'), {})
  await on.call('OPTIONS', on.at('configmaps', 'a'), {})
})

conformance('paths where nothing is', async (on) => {
  for (const path of [
    '/nothing',
    '/api/v2',
    '/api/v1/nothings',
    '/apis/nobody.example/v1/things',
    '/apis/carrel.dev/v9/agentsessions',
    '/apis/carrel.dev/v1alpha1/nothings',
    `/api/v1/namespaces/${on.namespace}/nothings`,
    `/api/v1/namespaces/${on.namespace}/nothings/a`,
    `/api/v1/namespaces/${on.namespace}/configmaps/a/nothing`,
    `/apis/carrel.dev/v1alpha1/namespaces/${on.namespace}/agentsessions/a/nothing`,
    `/apis/carrel.dev/v1alpha1/namespaces/${on.namespace}/agentsessions/a/scale`,
    '/api/v1/configmaps/a',
    '/apis/carrel.dev/v1alpha1/agentsessions/a',
    '/api/v1/namespaces/none/configmaps/a',
    '/apis/carrel.dev/v1alpha1/namespaces/none/agentsessions/a',
    '/api/v1/namespaces/none/configmaps',
    '/apis/carrel.dev/v1alpha1/namespaces/none/agentsessions',
    '/api/v1/namespaces/none',
    '/api/v1/nodes/none',
  ])
    await on.call('GET', path, PATHS)
})

conformance('bodies that cannot be read', async (on) => {
  for (const body of [
    '',
    '{',
    'null',
    '[]',
    '"text"',
    '1',
    '{"metadata":[]}',
    '{"metadata":{"name":1}}',
    '{"metadata":{"labels":[]}}',
    '{"metadata":{"labels":{"a":1}}}',
    '{"data":[]}',
    '{"data":{"a":1}}',
  ]) {
    const made = await on.call('POST', on.at('configmaps'), { body, ...WORDS })
    assert.ok(made.status === 400 || made.status === 422, `${body}: ${made.status}`)
    const own = await on.call('POST', on.at('agentsessions'), { body, ...WORDS })
    assert.ok(own.status === 400 || own.status === 422, `${body}: ${own.status}`)
  }
  await on.call('POST', on.at('configmaps'), WORDS)
  await on.call('POST', on.at('configmaps'), { body: Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), ...WORDS })
})

conformance('bodies that are too large', async (on) => {
  const large = { data: { a: 'x'.repeat(3 * 1024 * 1024) } }
  await on.call('POST', on.at('configmaps'), { body: { ...configMap('a'), ...large } })
  await on.call('PATCH', on.at('configmaps', 'a'), { body: large })
  await on.call('POST', on.at('configmaps'), { body: configMap('b', { a: 'x'.repeat(1024 * 1024 + 1) }) })
})

conformance('media types of a body', async (on) => {
  for (const contentType of [
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'nonsense',
    '*/*',
  ]) {
    assert.equal(
      (await on.call('POST', on.at('configmaps'), { contentType, body: JSON.stringify(configMap('a')), ...WORDS })).status,
      415,
      contentType,
    )
  }
  const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: of-yaml\ndata:\n  a: "1"\n'
  assert.equal((await on.call('POST', on.at('configmaps'), { contentType: 'application/yaml', body: yaml })).status, 201)
  await on.call('POST', on.at('configmaps'), { contentType: 'application/yaml', body: 'a: [', ...WORDS })
  assert.equal(
    (await on.call('POST', on.at('configmaps'), { contentType: 'application/json; charset=utf-8', body: configMap('json') })).status,
    201,
  )
})

conformance('media types of an answer', async (on) => {
  await on.make('configmaps', configMap('a'))
  await on.make('agentsessions', session('a'))
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  for (const path of [on.at('configmaps', 'a'), on.at('agentsessions', 'a')]) {
    for (const accept of [
      'application/json',
      '*/*',
      'text/html, */*;q=0.1',
      `application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io`,
      `application/json;as=Table;v=v9;g=meta.k8s.io,application/json`,
      'application/json;as=Nothing;v=v1;g=meta.k8s.io,application/json',
      'application/xml,application/json;q=0.5',
    ])
      assert.equal((await on.call('GET', path, { accept })).status, 200, accept)
    for (const accept of [
      'text/html',
      'application/xml',
      'application/json;as=Nothing;v=v1;g=meta.k8s.io',
      `${table.replace('v=v1', 'v=v9')}`,
      'nonsense',
    ])
      assert.equal((await on.call('GET', path, { accept, ...WORDS })).status, 406, accept)
  }
  await on.call('GET', on.at('configmaps'), {
    accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    query: { fieldSelector: 'metadata.name=a' },
  })
  await on.call('GET', on.at('configmaps'), {
    accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    query: { fieldSelector: 'metadata.name=a' },
    differs: 'metadata-of-a-list',
  })
  const watch = await on.watch(
    on.at('agentsessions'),
    { resourceVersion: '0' },
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  )
  on.tell('metadata only', await watch.take(1))
})

conformance('what needs no token, and what does', async (on) => {
  for (const path of ['/healthz', '/livez', '/readyz']) {
    const { status, body } = await on.ask('GET', path)
    on.record(path, { status, body })
  }
})
