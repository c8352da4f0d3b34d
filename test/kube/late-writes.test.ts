import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KubeObject } from '../../src/kube/objects.ts'
import { Store } from '../../src/kube/store.ts'
import { thing } from './objects.ts'

/** The answer to a write may arrive long after the watch has shown what became of the object. */
describe('a late answer to a write does not bring back what was deleted', () => {
  test('while the watch was away, as the next list shows', () => {
    const store = new Store<KubeObject>()
    store.replaceAll([thing('a', 1)], '1')
    store.replaceAll([], '20')
    store.observe(thing('a', 12))
    assert.equal(store.size, 0)
  })

  test('before the first list, so that the store never heard of it', () => {
    const store = new Store<KubeObject>()
    store.replaceAll([], '20')
    store.observe(thing('a', 20))
    assert.equal(store.size, 0)
  })

  test('any number of deletions ago', () => {
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('a', 1))
    store.apply('DELETED', thing('a', 5))
    for (let version = 10; version < 4_010; version += 2) {
      store.apply('ADDED', thing('other', version, `uid-${version}`))
      store.apply('DELETED', thing('other', version + 1, `uid-${version}`))
    }
    store.observe(thing('a', 4))
    assert.equal(store.size, 0)
  })
})

test('a write that the watch has not reached yet is taken', () => {
  const store = new Store<KubeObject>()
  store.replaceAll([], '20')
  store.apply('ADDED', thing('b', 30))
  store.observe(thing('a', 31))
  assert.equal(store.get('team', 'a')?.metadata.resourceVersion, '31')
})

test('a server whose versions begin anew, as from a backup, is believed', () => {
  const store = new Store<KubeObject>()
  store.replaceAll([thing('a', 900)], '1000')
  store.replaceAll([thing('a', 8)], '10')
  assert.equal(store.get('team', 'a')?.metadata.resourceVersion, '8')
  store.observe(thing('a', 11))
  assert.equal(store.get('team', 'a')?.metadata.resourceVersion, '11')
})
