/** metadata.generation, observedGeneration, and the status subresource's isolation. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { pod, runtime, session } from '../objects.ts'

conformance('generation rises with the spec and with nothing else', async (on) => {
  const made = await on.make('agentsessions', session('a'))
  assert.equal(made.metadata.generation, 1)
  const generationAfter = async (path: string, body: object): Promise<number> => {
    const answer = await on.call('PATCH', path, { body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body.metadata.generation
  }
  const at = on.at('agentsessions', 'a')
  assert.equal(await generationAfter(at, { metadata: { labels: { a: 'b' }, annotations: { c: 'd' } } }), 1)
  assert.equal(await generationAfter(`${at}/status`, { status: { incarnation: 1, phase: 'Running' } }), 1)
  assert.equal(await generationAfter(at, { spec: { stopThrough: 1 } }), 2)
  assert.equal(await generationAfter(at, { spec: { stopThrough: 1 } }), 2)
  assert.equal(await generationAfter(at, { metadata: { finalizers: ['carrel.dev/test'] } }), 2)
  const deleted = await on.call('DELETE', at)
  assert.equal(deleted.body.metadata.generation, 3, 'a mark for deletion is a change, too')
})

conformance('a status write changes the status alone, and another write never does', async (on) => {
  for (const resource of ['agentsessions', 'agentruntimes'] as const) {
    const object = resource === 'agentsessions' ? session('a') : runtime('a')
    const status = resource === 'agentsessions' ? { incarnation: 1, phase: 'Running' } : { observedGeneration: 1 }
    const made = await on.make(resource, { ...object, status })
    assert.equal(made.status, undefined)
    const written = await on.call('PUT', on.at(resource, 'a', 'status'), {
      body: { ...made, metadata: { ...made.metadata, labels: { a: 'b' } }, spec: { ...made.spec, endpoint: 'other' }, status },
    })
    assert.deepEqual(written.body.status, status)
    assert.deepEqual(written.body.spec, made.spec)
    const replaced = await on.call('PUT', on.at(resource, 'a'), { body: { ...written.body, status: undefined } })
    assert.deepEqual(replaced.body.status, status)
    await on.call('GET', on.at(resource, 'a', 'status'))
    await on.call('PATCH', on.at(resource, 'a'), { body: { status: { observedGeneration: 9 } } })
    await on.call('PATCH', on.at(resource, 'a', 'status'), { body: { status: null } })
  }
})

conformance('a pod has its status written beside it', async (on) => {
  const made = await on.make('pods', pod('a'))
  const status = { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }], conditions: [{ type: 'Ready', status: 'True' }] }
  const at = on.at('pods', 'a', 'status')
  assert.equal((await on.call('PATCH', at, { body: { status } })).body.status.phase, 'Running')
  const strategic = 'application/strategic-merge-patch+json'
  const condition = { type: 'ContainersReady', status: 'False', reason: 'Why' }
  const patched = await on.call('PATCH', at, { contentType: strategic, body: { status: { conditions: [condition] } } })
  assert.equal(patched.body.status.conditions.length, 2)
  await on.call('PATCH', at, { body: { spec: { activeDeadlineSeconds: 5 }, metadata: { labels: { by: 'status' } } } })
  await on.call('PATCH', on.at('pods', 'a'), { body: { status: { phase: 'Failed' } } })
  await on.call('PUT', at, {
    body: { ...made, metadata: { ...made.metadata, resourceVersion: undefined }, status: { phase: 'Succeeded' } },
  })
  await on.call('PATCH', on.at('configmaps', 'a', 'status'), { body: {} })
})
