import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KubeObject } from '../../src/kube/objects.ts'
import { Store } from '../../src/kube/store.ts'
import { thing } from './objects.ts'

/** What listeners heard, as `type name@version`. */
function heardBy(store: Store<KubeObject>): string[] {
  const heard: string[] = []
  store.subscribe(({ type, object }) => void heard.push(`${type} ${object.metadata.uid}@${object.metadata.resourceVersion}`))
  return heard
}

describe('a store fed by watch events', () => {
  test('tells added, updated with what was there before, and deleted', () => {
    const store = new Store<KubeObject>()
    const previous: unknown[] = []
    const heard = heardBy(store)
    store.subscribe((change) => change.type === 'updated' && previous.push(change.previous))
    const first = thing('a', 1)
    store.apply('ADDED', first)
    store.apply('MODIFIED', thing('a', 2))
    store.apply('DELETED', thing('a', 3))
    assert.deepEqual(heard, ['added a@1', 'updated a@2', 'deleted a@3'])
    assert.deepEqual(previous, [first])
    assert.equal(store.size, 0)
  })

  test('another uid under the same key is a deletion and then an addition', () => {
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('a', 1, 'old'))
    const heard = heardBy(store)
    store.apply('MODIFIED', thing('a', 5, 'new'))
    assert.deepEqual(heard, ['deleted old@1', 'added new@5'])
    store.apply('MODIFIED', thing('a', 3, 'old'))
    assert.equal(store.get('team', 'a')?.metadata.uid, 'new', 'a late word about the old one changes nothing')
  })

  test('the deletion of a successor whose addition was missed takes the predecessor along', () => {
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('a', 1, 'old'))
    const heard = heardBy(store)
    store.apply('DELETED', thing('a', 7, 'new'))
    assert.deepEqual(heard, ['deleted old@1'])
    assert.equal(store.size, 0)
  })

  test('an older or equal resourceVersion is ignored, compared as a number', () => {
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('a', 10))
    const heard = heardBy(store)
    store.apply('MODIFIED', thing('a', 9))
    store.apply('MODIFIED', thing('a', 10))
    store.apply('DELETED', thing('a', 9))
    assert.deepEqual(heard, [])
    store.apply('MODIFIED', thing('a', 100))
    assert.deepEqual(heard, ['updated a@100'])
  })

  test('resourceVersions beyond 2^53 are told apart', () => {
    const store = new Store<KubeObject>()
    const at = (resourceVersion: string): KubeObject => ({ ...thing('a', 0), metadata: { ...thing('a', 0).metadata, resourceVersion } })
    store.apply('ADDED', at('9007199254740993'))
    store.apply('MODIFIED', at('9007199254740992'))
    assert.equal(store.byKey('team/a')?.metadata.resourceVersion, '9007199254740993')
  })

  test('a listener that throws stops nobody, and its error is reported', async () => {
    const store = new Store<KubeObject>()
    const errors: unknown[] = []
    store.onListenerError = (error) => void errors.push(error)
    const failure = new Error('mine')
    store.subscribe(() => {
      throw failure
    })
    const heard = heardBy(store)
    store.apply('ADDED', thing('a', 1))
    store.apply('ADDED', thing('b', 2))
    await Promise.resolve()
    assert.deepEqual(heard, ['added a@1', 'added b@2'])
    assert.deepEqual(errors, [failure, failure])
  })

  test('a listener that changes the store is told after everybody heard the first change', () => {
    const store = new Store<KubeObject>()
    store.subscribe(({ object }) => object.metadata.name === 'a' && store.observe(thing('b', 2)))
    const heard = heardBy(store)
    store.apply('ADDED', thing('a', 1))
    assert.deepEqual(heard, ['added a@1', 'added b@2'])
  })

  test('who unsubscribed hears nothing more', () => {
    const store = new Store<KubeObject>()
    let heard = 0
    const unsubscribe = store.subscribe(() => void (heard += 1))
    store.apply('ADDED', thing('a', 1))
    unsubscribe()
    store.apply('ADDED', thing('b', 2))
    assert.equal(heard, 1)
  })
})

describe('observe', () => {
  test('makes a write readable at once, and its own watch event is no second change', () => {
    const store = new Store<KubeObject>()
    const heard = heardBy(store)
    store.observe(thing('a', 4))
    store.apply('ADDED', thing('a', 4))
    assert.deepEqual(heard, ['added a@4'])
  })

  test('does not bring back what was deleted meanwhile', () => {
    const store = new Store<KubeObject>()
    store.apply('ADDED', thing('a', 1))
    store.apply('DELETED', thing('a', 5))
    store.observe(thing('a', 4))
    assert.equal(store.size, 0)
    store.observe(thing('a', 6, 'another'))
    assert.equal(store.size, 1, 'another object of that name is another object')
  })

  test('a list that was under way does not take the write back', () => {
    const store = new Store<KubeObject>()
    store.replaceAll([thing('a', 1)], '1')
    store.observe(thing('a', 12))
    store.observe(thing('made', 13))
    const heard = heardBy(store)
    store.replaceAll([thing('a', 1)], '10')
    assert.deepEqual(heard, [])
    assert.equal(store.get('team', 'a')?.metadata.resourceVersion, '12')
    store.apply('ADDED', thing('made', 13))
    assert.equal(store.get('team', 'made')?.metadata.resourceVersion, '13')
  })

  test('a later list without the written object removes it', () => {
    const store = new Store<KubeObject>()
    store.observe(thing('made', 13))
    const heard = heardBy(store)
    store.replaceAll([], '20')
    assert.deepEqual(heard, ['deleted made@13'])
  })
})

describe('replaceAll', () => {
  test('settles synced, also with an empty list', async () => {
    const store = new Store<KubeObject>()
    assert.equal(store.hasSynced, false)
    store.replaceAll([], '1')
    await store.synced
    assert.equal(store.hasSynced, true)
  })

  test('tells exactly the difference', () => {
    const store = new Store<KubeObject>()
    store.replaceAll([thing('gone', 1), thing('same', 2), thing('moved', 3), thing('reborn', 4, 'first')], '4')
    const heard = heardBy(store)
    store.replaceAll([thing('same', 2), thing('moved', 8), thing('reborn', 9, 'second'), thing('new', 10)], '10')
    assert.deepEqual(heard.toSorted(), ['added new@10', 'added second@9', 'deleted first@4', 'deleted gone@1', 'updated moved@8'])
    assert.equal(store.size, 4)
  })

  test('is one step: a listener sees the whole new collection at the first word', () => {
    const store = new Store<KubeObject>({ label: (object) => Object.values(object.metadata.labels ?? {}) })
    store.replaceAll([thing('a', 1), thing('b', 2)], '2')
    const seen: string[][] = []
    store.subscribe(
      () =>
        void seen.push(
          store
            .list()
            .map(({ metadata }) => metadata.name)
            .toSorted(),
        ),
    )
    store.replaceAll([thing('c', 3), thing('d', 4)], '4')
    assert.equal(seen.length, 4)
    for (const names of seen) assert.deepEqual(names, ['c', 'd'])
  })
})

describe('an index', () => {
  const labelled = (): Store<KubeObject> =>
    new Store<KubeObject>({ colour: ({ metadata }) => (metadata.labels?.['colour'] ?? '').split(',').filter(Boolean) })
  const names = (objects: readonly KubeObject[]): string[] => objects.map(({ metadata }) => metadata.name).toSorted()

  test('follows additions, changes of the value, and deletions', () => {
    const store = labelled()
    store.apply('ADDED', thing('a', 1, 'a', { colour: 'red' }))
    store.apply('ADDED', thing('b', 2, 'b', { colour: 'red,blue' }))
    assert.deepEqual(names(store.by('colour', 'red')), ['a', 'b'])
    store.apply('MODIFIED', thing('b', 3, 'b', { colour: 'blue' }))
    assert.deepEqual(names(store.by('colour', 'red')), ['a'])
    assert.equal(store.by('colour', 'blue')[0]?.metadata.resourceVersion, '3')
    store.apply('DELETED', thing('a', 4, 'a', { colour: 'green' }))
    assert.deepEqual(names(store.by('colour', 'red')), [])
    assert.deepEqual(names(store.by('colour', 'green')), [])
  })

  test('follows a new uid and a relist', () => {
    const store = labelled()
    store.replaceAll([thing('a', 1, 'one', { colour: 'red' })], '1')
    store.replaceAll([thing('a', 2, 'two', { colour: 'blue' })], '2')
    assert.deepEqual(names(store.by('colour', 'red')), [])
    assert.deepEqual(names(store.by('colour', 'blue')), ['a'])
  })

  test('unknown indexes and values are empty', () => {
    assert.deepEqual(labelled().by('colour', 'none'), [])
    assert.deepEqual(labelled().by('shape', 'round'), [])
  })
})
