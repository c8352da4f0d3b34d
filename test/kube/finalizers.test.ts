import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { ApiError, isConflict, TransportError } from '../../src/kube/errors.ts'
import { addFinalizer, removeFinalizer } from '../../src/kube/finalizers.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { pathOf } from '../../src/kube/resource.ts'
import { KeptObjects } from './kept-objects.ts'
import { THINGS, thing } from './objects.ts'
import { refusal } from './scripted-transport.ts'

const PATH = pathOf(THINGS, 'team', 'a')

/** A server with one thing that has these finalizers. */
function holding(finalizers: string[] | undefined) {
  const server = new KeptObjects()
  const base = thing('a', 0)
  const object = server.put(PATH, { ...base, metadata: { ...base.metadata, ...(finalizers ? { finalizers } : {}) } })
  const held = (): string[] | undefined => server.objects.get(PATH)?.metadata.finalizers
  return { server, client: new KubeClient(server), object, held }
}

/** The thing as somebody else left it meanwhile. */
function touch(server: KeptObjects, change: Partial<KubeObject['metadata']>): void {
  const object = server.objects.get(PATH)!
  server.put(PATH, { ...object, metadata: { ...object.metadata, ...change } })
}

describe('addFinalizer', () => {
  test('adds it to those that are there', async () => {
    const { client, object, held } = holding(['other'])
    const after = await addFinalizer(client, THINGS, object, 'mine')
    assert.deepEqual(after.metadata.finalizers, ['other', 'mine'])
    assert.deepEqual(held(), ['other', 'mine'])
  })

  test('asks nothing when it is there', async () => {
    const { server, client, object } = holding(['mine'])
    assert.equal(await addFinalizer(client, THINGS, object, 'mine'), object)
    assert.deepEqual(server.requests, [])
  })

  test('is a Conflict when the object moved meanwhile', async () => {
    const { server, client, object, held } = holding([])
    touch(server, { finalizers: ['other'] })
    await assert.rejects(addFinalizer(client, THINGS, object, 'mine'), isConflict)
    assert.deepEqual(held(), ['other'])
  })
})

describe('removeFinalizer', () => {
  test('removes it and leaves the others', async () => {
    const { client, object, held } = holding(['other', 'mine'])
    await removeFinalizer(client, THINGS, object, 'mine')
    assert.deepEqual(held(), ['other'])
  })

  for (const finalizers of [undefined, [], ['other']]) {
    test(`asks nothing when it is not among ${JSON.stringify(finalizers)}`, async () => {
      const { server, client, object } = holding(finalizers)
      await removeFinalizer(client, THINGS, object, 'mine')
      assert.deepEqual(server.requests, [])
    })
  }

  test('looks again when the object moved, and keeps what another added', async () => {
    const { server, client, object, held } = holding(['mine'])
    touch(server, { finalizers: ['mine', 'other'] })
    await removeFinalizer(client, THINGS, object, 'mine')
    assert.deepEqual(held(), ['other'])
  })

  test('touches no other object of that name', async () => {
    const { server, client, object, held } = holding(['mine'])
    touch(server, { uid: 'successor' })
    await removeFinalizer(client, THINGS, object, 'mine')
    assert.deepEqual(held(), ['mine'])
  })

  test('is content when the object is gone, at once or between two looks', async () => {
    const { server, client, object } = holding(['mine'])
    server.objects.delete(PATH)
    await removeFinalizer(client, THINGS, object, 'mine')
    server.refuseNext.push(refusal(409, {}, 'Conflict'))
    await removeFinalizer(client, THINGS, object, 'mine')
    assert.equal(server.requests.length, 3)
  })

  test("any other refusal, or none, is the caller's", async () => {
    const { server, client, object } = holding(['mine'])
    server.refuseNext.push(refusal(403), new TransportError('cut'))
    await assert.rejects(removeFinalizer(client, THINGS, object, 'mine'), ApiError)
    await assert.rejects(removeFinalizer(client, THINGS, object, 'mine'), TransportError)
  })
})
