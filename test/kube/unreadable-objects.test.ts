import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { KubeObject } from '../../src/kube/objects.ts'
import { reflect } from '../../src/kube/reflector.ts'
import { Store } from '../../src/kube/store.ts'
import type { WatchEvent } from '../../src/kube/transport.ts'
import { THINGS, thing } from './objects.ts'
import { virtualEnv } from './quiet-env.ts'
import { page, ScriptedTransport, type WatchStep } from './scripted-transport.ts'

/** Throws on an object that is labelled so; else its name. */
function readName({ metadata }: KubeObject): string {
  if (metadata.labels?.['unreadable']) throw new Error(`${metadata.name} cannot be read`)
  return metadata.name
}

const bad = (version: number): KubeObject => thing('bad', version, 'bad', { unreadable: 'yes' })
const added = (object: KubeObject): WatchEvent => ({ type: 'ADDED', object })

async function reflected(
  t: TestContext,
  listed: KubeObject[],
  watched: WatchStep[],
  options: { transform?: (object: KubeObject) => KubeObject; store?: Store<KubeObject> },
) {
  const env = virtualEnv()
  const transport = new ScriptedTransport(env, { lists: [page(listed, 10)], watches: [watched] })
  const { store = new Store<KubeObject>(), ...rest } = options
  const end = new AbortController()
  const running = reflect({ env, transport, resource: THINGS, store, ...rest }, end.signal)
  t.after(async () => {
    end.abort()
    await running
  })
  await env.clock.run(1_000)
  const names = store.list().map(({ metadata }) => metadata.name)
  return { names, store, logged: env.logged, lists: transport.of('list').length, watches: transport.of('watch').length }
}

describe('an object on which the projection throws', () => {
  const transform = (object: KubeObject): KubeObject => (readName(object), object)

  test('in a list, is left out and logged; the list is complete without it', async (t) => {
    const { names, store, logged, lists } = await reflected(t, [thing('a', 1), bad(2), thing('b', 3)], [], { transform })
    assert.deepEqual(names, ['a', 'b'])
    assert.equal(store.hasSynced, true)
    assert.deepEqual(logged, ['an object could not be projected and is left out'])
    assert.equal(lists, 1)
  })

  test('in a watch, holds up nothing that comes after it', async (t) => {
    const { names, watches } = await reflected(t, [], [added(bad(11)), added(thing('after', 12))], { transform })
    assert.deepEqual(names, ['after'])
    assert.equal(watches, 1, 'the watch was not begun anew')
  })

  test('takes what was held of it before along: less is known, never something old', async (t) => {
    const { names } = await reflected(t, [thing('bad', 1)], [{ type: 'MODIFIED', object: bad(11) }], { transform })
    assert.deepEqual(names, [])
  })

  test('is deleted all the same', async (t) => {
    const { names } = await reflected(t, [thing('bad', 1)], [{ type: 'DELETED', object: bad(11) }], { transform })
    assert.deepEqual(names, [])
  })
})

test('an object that an index cannot read is in the store, in no index, and in the log', async (t) => {
  const indexed = new Store<KubeObject>({ name: (object) => [readName(object)] })
  const { names, store, logged, watches } = await reflected(t, [bad(1), thing('a', 2)], [added(thing('b', 11))], { store: indexed })
  assert.deepEqual(names, ['bad', 'a', 'b'])
  assert.deepEqual(
    ['bad', 'a', 'b'].map((name) => store.by('name', name).length),
    [0, 1, 1],
  )
  assert.deepEqual(logged, ['a listener or an index of the store threw'])
  assert.equal(watches, 1)
})
