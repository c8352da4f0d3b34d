import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { jsonPatch } from '../../src/local/api/patch-json.ts'
import { mergePatch } from '../../src/local/api/patch-merge.ts'
import { strategicPatch } from '../../src/local/api/patch-strategic.ts'
import { CONFIG_MAPS, JSON_PATCH, MERGE, PODS, RUNTIMES, STRATEGIC, TestApi, configMap, pod, runtime } from './api-kit.ts'

test('merge patch: the examples of RFC 7396, appendix A', () => {
  const examples: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, expected] of examples) {
    const before = structuredClone(target)
    assert.deepEqual(mergePatch(target, patch), expected)
    assert.deepEqual(target, before, 'the target is not changed')
  }
})

test('JSON patch: each operation of RFC 6902, with its escapes and list positions', () => {
  const examples: [unknown, object[], unknown][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/1', value: 'end' }], { foo: ['bar', 'end'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [{ foo: ['a'] }, [{ op: 'replace', path: '/foo/0', value: 'b' }], { foo: ['b'] }],
    [{ foo: { bar: 'baz' }, qux: {} }, [{ op: 'move', from: '/foo/bar', path: '/qux/thud' }], { foo: {}, qux: { thud: 'baz' } }],
    [{ foo: ['all', 'grass', 'cows', 'eat'] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }], { foo: ['all', 'cows', 'eat', 'grass'] }],
    [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      { '/': 9, '~1': 10 },
      [
        { op: 'test', path: '/~01', value: 10 },
        { op: 'remove', path: '/~1' },
      ],
      { '~1': 10 },
    ],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
    [{ foo: null }, [{ op: 'test', path: '/foo', value: null }], { foo: null }],
    [{ '': 1 }, [{ op: 'remove', path: '/' }], {}],
  ]
  for (const [target, patch, expected] of examples) {
    const before = structuredClone(target)
    assert.deepEqual(jsonPatch(target, patch), expected)
    assert.deepEqual(target, before, 'the target is not changed')
  }
})

test('JSON patch: what does not apply is refused whole', () => {
  const target = { foo: ['bar'], baz: { a: 1 } }
  const refused: [unknown, number][] = [
    [[{ op: 'add', path: '/no/such', value: 1 }], 422],
    [[{ op: 'add', path: '/foo/2', value: 1 }], 422],
    [[{ op: 'add', path: '/foo/01', value: 1 }], 422],
    [[{ op: 'add', path: '/foo/1e0', value: 1 }], 422],
    [[{ op: 'replace', path: '/foo/length', value: 4294967295 }], 422],
    [[{ op: 'remove', path: '/foo/-' }], 422],
    [[{ op: 'remove', path: '/nothing' }], 422],
    [[{ op: 'test', path: '/baz', value: { a: 2 } }], 422],
    [[{ op: 'replace', path: '/nothing/at', value: 1 }], 422],
    [[{ op: 'shuffle', path: '/foo' }], 422],
    [[{ op: 'remove', path: 'foo' }], 422],
    [[{ op: 'copy', path: '/x' }], 422],
    [{ op: 'remove', path: '/foo' }, 400],
    [[null], 400],
    ['[]', 400],
  ]
  for (const [patch, code] of refused) assert.throws(() => jsonPatch(target, patch), { code }, JSON.stringify(patch))
})

test('JSON patch: as in the real server, a field that is not there can be replaced, and its copy is null', () => {
  assert.deepEqual(jsonPatch({ a: 1 }, [{ op: 'replace', path: '/b', value: 2 }]), { a: 1, b: 2 })
  assert.deepEqual(jsonPatch({ a: 1 }, [{ op: 'copy', from: '/c', path: '/b' }]), { a: 1, b: null })
  assert.deepEqual(jsonPatch({}, [{ op: 'replace', path: '/toString', value: 1 }]), { toString: 1 })
})

test('JSON patch: copies cannot fill the memory', () => {
  const doubling = Array.from({ length: 60 }, (_, index) => ({ op: 'copy', from: '', path: `/copy${index}` }))
  assert.throws(() => jsonPatch({ text: 'x'.repeat(1000) }, doubling), { code: 413 })
  assert.throws(
    () =>
      jsonPatch(
        {},
        Array.from({ length: 10_001 }, () => ({ op: 'add', path: '/a', value: 1 })),
      ),
    { code: 413 },
  )
})

test('no patch reaches a prototype', () => {
  const hostile = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}')
  for (const patched of [
    mergePatch({}, hostile),
    strategicPatch({}, hostile),
    jsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]),
  ]) {
    assert.equal(Object.getPrototypeOf(patched), Object.prototype)
    assert.equal((patched as any).polluted, undefined)
  }
  assert.throws(() => jsonPatch({}, [{ op: 'add', path: '/__proto__/polluted', value: true }]), { code: 422 })
  assert.equal(({} as any).polluted, undefined)
})

test('strategic patch: lists merge by their key, other lists are replaced', () => {
  const target = {
    metadata: { finalizers: ['a/a'], ownerReferences: [{ uid: '1', name: 'x' }] },
    spec: {
      containers: [
        {
          name: 'agent',
          image: 'a',
          command: ['x'],
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        },
        { name: 'meter', image: 'm' },
      ],
      tolerations: [{ key: 'a' }],
    },
    status: { conditions: [{ type: 'Ready', status: 'False' }] },
  }
  const patch = {
    metadata: { finalizers: ['b/b', 'a/a'], ownerReferences: [{ uid: '2', name: 'y' }] },
    spec: {
      containers: [
        {
          name: 'agent',
          command: ['y', 'z'],
          env: [
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
        },
      ],
      tolerations: [{ key: 'b' }],
    },
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Initialized', status: 'True' },
      ],
    },
  }
  assert.deepEqual(strategicPatch(target, patch), {
    metadata: {
      finalizers: ['b/b', 'a/a'],
      ownerReferences: [
        { uid: '2', name: 'y' },
        { uid: '1', name: 'x' },
      ],
    },
    spec: {
      containers: [
        {
          name: 'agent',
          image: 'a',
          command: ['y', 'z'],
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '3' },
            { name: 'C', value: '4' },
          ],
        },
        { name: 'meter', image: 'm' },
      ],
      tolerations: [{ key: 'b' }],
    },
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Initialized', status: 'True' },
      ],
    },
  })
})

test('strategic patch: its directives delete, replace, order and retain', () => {
  const list = {
    env: [
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
      { name: 'C', value: '3' },
    ],
  }
  assert.deepEqual(strategicPatch(list, { env: [{ name: 'B', $patch: 'delete' }] }), {
    env: [
      { name: 'A', value: '1' },
      { name: 'C', value: '3' },
    ],
  })
  assert.deepEqual(strategicPatch(list, { env: [{ $patch: 'replace' }, { name: 'D', value: '4' }] }), { env: [{ name: 'D', value: '4' }] })
  const ordered = strategicPatch(list, {
    env: [{ name: 'D', value: '4' }],
    '$setElementOrder/env': [{ name: 'D' }, { name: 'C' }, { name: 'A' }],
  }) as any
  assert.deepEqual(
    ordered.env.map(({ name }: any) => name),
    ['D', 'B', 'C', 'A'],
  )
  assert.deepEqual(strategicPatch({ finalizers: ['a', 'b', 'c'] }, { '$deleteFromPrimitiveList/finalizers': ['b'] }), {
    finalizers: ['a', 'c'],
  })
  assert.deepEqual(strategicPatch({ labels: { a: '1', b: '2' } }, { labels: { $patch: 'replace', c: '3' } }), { labels: { c: '3' } })
  assert.deepEqual(strategicPatch({ resources: { a: 1 }, other: 1 }, { resources: { $patch: 'delete' } }), { other: 1 })
  assert.deepEqual(strategicPatch({ strategy: { type: 'A', a: {} } }, { strategy: { $retainKeys: ['type'], type: 'B' } }), {
    strategy: { type: 'B' },
  })
  assert.deepEqual(strategicPatch({ labels: { a: '1' } }, { labels: { a: null, b: { c: null, d: 1 } } }), { labels: { b: { d: 1 } } })
})

test('each kind takes the patch types that it takes in a cluster, and says which', async () => {
  const api = await TestApi.start()
  await api.must('POST', PODS, pod('p'))
  await api.must('POST', RUNTIMES, runtime('hello'))
  const labels = { metadata: { labels: { a: 'b' } } }
  for (const contentType of [MERGE, STRATEGIC, `${MERGE}; charset=utf-8`]) await api.must('PATCH', `${PODS}/p`, labels, { contentType })
  await api.must('PATCH', `${RUNTIMES}/hello`, labels, { contentType: MERGE })
  await api.must('PATCH', `${RUNTIMES}/hello`, [{ op: 'remove', path: '/metadata/labels/a' }], { contentType: JSON_PATCH })
  const strategic = await api.refused(415, 'UnsupportedMediaType', 'PATCH', `${RUNTIMES}/hello`, labels, { contentType: STRATEGIC })
  assert.match(strategic.message, /accepted media types include: application\/json-patch\+json, application\/merge-patch\+json$/)
  const apply = await api.refused(415, 'UnsupportedMediaType', 'PATCH', `${PODS}/p`, labels, {
    contentType: 'application/apply-patch+yaml',
  })
  assert.match(apply.message, /use kubectl apply without --server-side/)
  await api.refused(415, 'UnsupportedMediaType', 'PATCH', `${PODS}/p`, labels)
})

test('the last label that goes takes the map with it', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a', { labels: { x: 'y' } }))
  assert.equal((await api.merge(`${CONFIG_MAPS}/a`, { metadata: { labels: { x: null } } })).metadata.labels, undefined)
})

test('a patch that makes no object, or one nested without end, is refused', async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.refused(400, 'BadRequest', 'PATCH', `${CONFIG_MAPS}/a`, ['x'], { contentType: MERGE })
  await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, { metadata: ['x'] }, { contentType: MERGE })
  await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, [{ op: 'remove', path: '' }], { contentType: JSON_PATCH })
  let nested: unknown = 'x'
  for (let depth = 0; depth < 1_000; depth += 1) nested = [nested]
  const deep = 'the body is nested more than 200 levels deep'
  assert.equal((await api.refused(400, 'BadRequest', 'PATCH', `${CONFIG_MAPS}/a`, { data: nested }, { contentType: MERGE })).message, deep)
  assert.equal((await api.refused(400, 'BadRequest', 'POST', CONFIG_MAPS, { ...configMap('b'), data: nested })).message, deep)
  for (let depth = 0; depth < 100_000; depth += 1) nested = [nested]
  for (const method of ['PATCH', 'POST'] as const) {
    const path = method === 'PATCH' ? `${CONFIG_MAPS}/a` : CONFIG_MAPS
    const answer = await api.api.handle({
      identity: IDENTITIES.admin,
      method,
      path,
      query: new URLSearchParams(),
      contentType: MERGE,
      body: { data: nested },
    })
    assert.equal(answer.status, 400)
  }
  assert.deepEqual(await api.must('GET', `${CONFIG_MAPS}/a`), made)
})
