/** Garbage collection by owner references: background, foreground, orphan. */
import assert from 'node:assert/strict'
import { conformance, type Stage } from '../conformance.ts'
import { configMap, pod, session } from '../objects.ts'
import type { Answer, Loose } from '../wire.ts'

function ownedBy({ apiVersion, kind, metadata: { name, uid } }: Loose, more: object = {}): object {
  return { ownerReferences: [{ apiVersion, kind, name, uid, ...more }] }
}

const isGone = ({ status }: { status: number }): boolean => status === 404

/** A session that owns a pod, as Carrel has it, which owns a config map. */
async function family(on: Stage): Promise<{ owner: Loose; paths: { owner: string; pod: string; map: string } }> {
  const owner = await on.make('agentsessions', session('owner'))
  const owned = await on.make(
    'pods',
    pod('owned', (made) => Object.assign(made.metadata, ownedBy(owner, { controller: true, blockOwnerDeletion: true }))),
  )
  await on.make('configmaps', configMap('map', {}, ownedBy(owned)))
  return { owner, paths: { owner: on.at('agentsessions', 'owner'), pod: on.at('pods', 'owned'), map: on.at('configmaps', 'map') } }
}

conformance('what an object owned goes after it', async (on) => {
  const { paths } = await family(on)
  await on.call('DELETE', paths.owner, { body: { propagationPolicy: 'Background' } })
  await on.until(paths.pod, isGone, 'the pod is collected')
  await on.until(paths.map, isGone, 'what the pod owned is collected')
})

conformance('an orphan stays, without its owner', async (on) => {
  const { paths } = await family(on)
  await on.ask('DELETE', paths.owner, { body: { propagationPolicy: 'Orphan' } })
  await on.until(paths.owner, isGone, 'the owner is gone')
  const { body } = await on.until(paths.pod, ({ body: orphan }) => orphan.metadata.ownerReferences === undefined, 'the pod has no owner')
  assert.equal(body.metadata.deletionTimestamp, undefined)
  assert.equal((await on.call('GET', paths.map)).status, 200)
})

conformance('a foreground deletion takes the owner last', async (on) => {
  const { paths } = await family(on)
  await on.call('DELETE', paths.owner, { body: { propagationPolicy: 'Foreground' }, differs: 'foreground-is-background' })
  for (const path of [paths.owner, paths.pod, paths.map]) await on.until(path, isGone, 'all are gone')
})

conformance('an owner that never was, or has another uid, leaves nothing', async (on) => {
  const owner = await on.make('configmaps', configMap('owner'))
  const uid = '00000000-0000-4000-8000-000000000000'
  await on.call('POST', on.at('configmaps'), { body: configMap('a', {}, ownedBy({ ...owner, metadata: { name: 'owner', uid } })) })
  await on.call('POST', on.at('configmaps'), { body: configMap('b', {}, ownedBy({ ...owner, metadata: { name: 'none', uid } })) })
  const both = {
    ownerReferences: [...(ownedBy(owner) as Loose).ownerReferences, { apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid }],
  }
  await on.call('POST', on.at('configmaps'), { body: configMap('c', {}, both) })
  await on.until(on.at('configmaps', 'a'), isGone, 'another uid is another owner')
  await on.until(on.at('configmaps', 'b'), isGone, 'no owner')
  const isSettled = ({ status, body }: Answer): boolean =>
    status === 200 && (on.subject.name === 'embedded' || (body as Loose).metadata.ownerReferences.length === 1)
  await on.until(on.at('configmaps', 'c'), isSettled, 'one living owner is enough', {
    differs: 'absent-owners-stay',
    differsAt: ['body.metadata.ownerReferences', 'body.metadata.resourceVersion'],
  })
})

conformance('owner references are checked', async (on) => {
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: 'some' }
  for (const wrong of [
    { ...reference, uid: '' },
    { ...reference, name: undefined },
    { ...reference, apiVersion: 'a/b/c' },
    { ...reference, kind: '' },
    { ...reference, kind: 'Event' },
  ])
    assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('x', {}, { ownerReferences: [wrong] }) })).status, 422)
  const two = [
    { ...reference, controller: true },
    { ...reference, name: 'b', uid: 'other', controller: true },
  ]
  assert.equal((await on.call('POST', on.at('configmaps'), { body: configMap('x', {}, { ownerReferences: two }) })).status, 422)
})
