import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { Contents } from '../../src/kube/contents.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { reflect } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { WatchEvent } from '../../src/kube/transport.ts'
import { THINGS, thing } from './objects.ts'
import { virtualEnv } from './quiet-env.ts'
import { page, ScriptedTransport } from './scripted-transport.ts'

/** As a server sends it. */
function sent(name: string, version: number): KubeObject {
  const object = thing(name, version)
  return { ...object, metadata: { ...object.metadata, managedFields: [{ manager: 'someone' }] } as KubeObject['metadata'] }
}

async function followed(t: TestContext, watched: WatchEvent[], transform?: (object: KubeObject) => KubeObject) {
  const env = virtualEnv()
  const transport = new ScriptedTransport(env, { lists: [page([sent('listed', 5)], 10)], watches: [watched] })
  const store = new Store<KubeObject>()
  const end = new AbortController()
  const running = reflect({ env, transport, resource: THINGS, store, ...(transform ? { transform } : {}) }, end.signal)
  t.after(async () => {
    end.abort()
    await running
  })
  await env.clock.run(1_000)
  return store
}

describe('managedFields', () => {
  test('are kept of no object, however it came, and what was handed in is not changed', async (t) => {
    const own = sent('written', 12)
    const store = await followed(t, [{ type: 'ADDED', object: sent('watched', 11) }])
    store.observe(own)
    assert.deepEqual(store.list(), [thing('listed', 5), thing('watched', 11), thing('written', 12)])
    assert.ok('managedFields' in own.metadata)
  })
})

describe('what this process wrote', () => {
  const short = (object: KubeObject): KubeObject => thing(object.metadata.name, Number(object.metadata.resourceVersion), 'short')

  test('is projected as what the server sends', async (t) => {
    const store = await followed(t, [], short)
    store.observe(sent('written', 12))
    assert.deepEqual(store.get('team', 'written'), thing('written', 12, 'short'))
  })

  test('is left out when it cannot be projected', async (t) => {
    const store = await followed(t, [], (object) => {
      if (object.metadata.name === 'written') throw new Error('no')
      return object
    })
    store.observe(sent('written', 12))
    assert.equal(store.get('team', 'written'), undefined)
  })
})

describe('an index', () => {
  const byLabel = (): Contents<KubeObject> => new Contents({ label: (object) => Object.values(object.metadata.labels ?? {}) })
  const labelled = (name: string, labels: Record<string, string>, version = 1): KubeObject => thing(name, version, name, labels)
  const names = (contents: Contents<KubeObject>, value: string): string[] =>
    contents.by('label', value).map(({ metadata }) => metadata.name)

  test('has none, one, several and again none of a value, in the order in which they came', () => {
    const contents = byLabel()
    assert.deepEqual(names(contents, 'x'), [])
    contents.add([labelled('a', { l: 'x' })])
    assert.deepEqual(names(contents, 'x'), ['a'])
    contents.add([labelled('b', { l: 'x' }), labelled('c', { l: 'x' })])
    assert.deepEqual(names(contents, 'x'), ['a', 'b', 'c'])
    for (const name of ['b', 'a', 'c']) contents.remove(`team/${name}`)
    assert.deepEqual(names(contents, 'x'), [])
    assert.equal(contents.size, 0)
  })

  test('follows an object whose value changes, and names one with the value twice only once', () => {
    const contents = byLabel()
    contents.add([labelled('a', { l: 'x', m: 'x' }), labelled('b', { l: 'y' })])
    assert.deepEqual(names(contents, 'x'), ['a'])
    contents.add([labelled('a', { l: 'y' }, 2)])
    assert.deepEqual(names(contents, 'x'), [])
    assert.deepEqual(names(contents, 'y'), ['b', 'a'])
  })
})
