import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { CONFIG_MAPS, NAMESPACES, PODS, RUNTIMES, SECRETS, SESSIONS, TestApi, configMap, ownedBy, pod, runtime, secret } from './api-kit.ts'

const KUBELET = { as: IDENTITIES.kubelet }

async function runningPod(api: TestApi, name = 'p', spec: object = {}): Promise<any> {
  await api.must('POST', PODS, pod(name, {}, { terminationGracePeriodSeconds: 20, ...spec }))
  await api.must(
    'POST',
    `${PODS}/${name}/binding`,
    { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target: { kind: 'Node', name: 'laptop' } },
    KUBELET,
  )
  return api.must('GET', `${PODS}/${name}`)
}

test('DELETE answers with a Status that names what went, or with the pod', async () => {
  const api = await TestApi.start()
  const { metadata } = await api.must('POST', CONFIG_MAPS, configMap('a'))
  const gone = await api.must('DELETE', `${CONFIG_MAPS}/a`)
  assert.deepEqual([gone.kind, gone.status, gone.details], ['Status', 'Success', { name: 'a', kind: 'configmaps', uid: metadata.uid }])
  await api.refused(404, 'NotFound', 'DELETE', `${CONFIG_MAPS}/a`)
  await api.must('POST', PODS, pod('p'))
  assert.equal((await api.must('DELETE', `${PODS}/p`)).kind, 'Pod')
  await api.refused(404, 'NotFound', 'GET', `${PODS}/p`)
})

test('a name used again is another object: preconditions on uid and resourceVersion keep it', async () => {
  const api = await TestApi.start()
  const first = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.must('DELETE', `${CONFIG_MAPS}/a`)
  const second = await api.must('POST', CONFIG_MAPS, configMap('a'))
  assert.notEqual(second.metadata.uid, first.metadata.uid)
  const other = await api.refused(409, 'Conflict', 'DELETE', `${CONFIG_MAPS}/a`, { preconditions: { uid: first.metadata.uid } })
  assert.match(
    other.message,
    /the UID in the precondition \(.+\) does not match the UID in record \(.+\)\. The object might have been deleted and then recreated/,
  )
  const { uid, resourceVersion } = second.metadata
  await api.merge(`${CONFIG_MAPS}/a`, { data: { b: '2' } })
  const moved = await api.refused(409, 'Conflict', 'DELETE', `${CONFIG_MAPS}/a`, { preconditions: { uid, resourceVersion } })
  assert.match(moved.message, /the ResourceVersion in the precondition/)
  await api.must('DELETE', `${CONFIG_MAPS}/a`, { preconditions: { uid } })
})

test('with a finalizer the object stays, marked once, until the last one is taken off', async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, { ...runtime('hello'), metadata: { name: 'hello', finalizers: ['carrel.dev/a', 'carrel.dev/b'] } })
  const watched = await api.watch(RUNTIMES)
  const path = `${RUNTIMES}/hello`
  const marked = await api.must('DELETE', path)
  assert.equal(marked.metadata.deletionTimestamp, '2026-01-01T00:00:00Z')
  assert.equal(marked.metadata.generation, 2)
  await api.settle(5_000)
  assert.deepEqual(await api.must('DELETE', path), marked, 'a second DELETE changes nothing')
  const late = await api.refused(
    422,
    'Invalid',
    'PATCH',
    path,
    { metadata: { finalizers: ['carrel.dev/a', 'carrel.dev/c'] } },
    { contentType: 'application/merge-patch+json' },
  )
  assert.match(
    late.message,
    /no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"carrel\.dev\/c"\}/,
  )
  await api.merge(path, { metadata: { finalizers: ['carrel.dev/b'] } })
  await api.status(path, { latestVersion: 1 })
  await api.merge(path, { metadata: { finalizers: null, deletionTimestamp: null } })
  await api.refused(404, 'NotFound', 'GET', path)
  assert.deepEqual(await watched.news(), ['ADDED hello', 'MODIFIED hello', 'MODIFIED hello', 'MODIFIED hello', 'DELETED hello'])
})

test('a pod on a node has its grace, and goes when its kubelet says so', async () => {
  const api = await TestApi.start()
  await runningPod(api)
  const marked = await api.must('DELETE', `${PODS}/p`)
  assert.deepEqual([marked.metadata.deletionTimestamp, marked.metadata.deletionGracePeriodSeconds], ['2026-01-01T00:00:20Z', 20])
  assert.deepEqual(await api.must('DELETE', `${PODS}/p`, { gracePeriodSeconds: 60 }), marked, 'a grace is never made longer')
  assert.deepEqual(await api.must('DELETE', `${PODS}/p`), marked)
  await api.must('PATCH', `${PODS}/p/status`, { status: { phase: 'Failed' } }, { ...KUBELET, contentType: 'application/merge-patch+json' })
  await api.must('DELETE', `${PODS}/p`, { gracePeriodSeconds: 0, preconditions: { uid: marked.metadata.uid } }, KUBELET)
  await api.refused(404, 'NotFound', 'GET', `${PODS}/p`)
})

test('a grace can be made shorter, counted from the first DELETE', async () => {
  const api = await TestApi.start()
  await runningPod(api)
  await api.must('DELETE', `${PODS}/p`)
  await api.settle(5_000)
  const shorter = (await api.must('DELETE', `${PODS}/p`, { gracePeriodSeconds: 10 })).metadata
  assert.deepEqual([shorter.deletionTimestamp, shorter.deletionGracePeriodSeconds], ['2026-01-01T00:00:10Z', 10])
  const over = (await api.must('DELETE', `${PODS}/p`, undefined, { query: { gracePeriodSeconds: '2' } })).metadata
  assert.deepEqual(
    [over.deletionTimestamp, over.deletionGracePeriodSeconds],
    ['2026-01-01T00:00:05Z', 1],
    'what is over by then is ended by kubelet all the same',
  )
  assert.equal(over.generation, shorter.generation)
})

test('a pod that never ran, or has ended, or is forced goes at once', async () => {
  const api = await TestApi.start()
  await api.must('POST', PODS, pod('unbound'))
  await api.must('DELETE', `${PODS}/unbound`)
  await runningPod(api, 'ended')
  await api.must(
    'PATCH',
    `${PODS}/ended/status`,
    { status: { phase: 'Succeeded' } },
    { ...KUBELET, contentType: 'application/merge-patch+json' },
  )
  await api.must('DELETE', `${PODS}/ended`, { gracePeriodSeconds: 30 })
  await runningPod(api, 'forced')
  await api.must('DELETE', `${PODS}/forced`, { gracePeriodSeconds: 0 })
  assert.deepEqual(await api.names(PODS), [])
})

test('a pod with a finalizer outlives its kubelet and not its finalizer', async () => {
  const api = await TestApi.start()
  await runningPod(api)
  await api.merge(`${PODS}/p`, { metadata: { finalizers: ['carrel.dev/a'] } })
  await api.must('DELETE', `${PODS}/p`)
  const ended = await api.must('DELETE', `${PODS}/p`, { gracePeriodSeconds: 0 }, KUBELET)
  assert.equal(ended.metadata.deletionGracePeriodSeconds, 0)
  await api.merge(`${PODS}/p`, { metadata: { finalizers: null } })
  await api.refused(404, 'NotFound', 'GET', `${PODS}/p`)
})

test('deletecollection takes what the selectors choose, in one namespace', async () => {
  const api = await TestApi.start()
  await api.must('POST', NAMESPACES, { metadata: { name: 'team' } })
  for (const name of ['a', 'b', 'c'])
    await api.must('POST', CONFIG_MAPS, configMap(name, { labels: { keep: name === 'b' ? 'yes' : 'no' } }))
  await api.must('POST', '/api/v1/namespaces/team/configmaps', configMap('a', { labels: { keep: 'no' } }))
  const gone = await api.must('DELETE', CONFIG_MAPS, undefined, { query: { labelSelector: 'keep=no' } })
  assert.deepEqual(
    gone.items.map((item: any) => item.metadata.name),
    ['a', 'c'],
  )
  assert.deepEqual(await api.names('/api/v1/configmaps'), ['b', 'a'])
})

test('what loses its last owner goes in the background, with all that hangs on it', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', RUNTIMES, runtime('hello'))
  const middle = await api.must('POST', CONFIG_MAPS, configMap('middle', ownedBy(owner)))
  await api.must('POST', SECRETS, secret('leaf', {}, { metadata: { name: 'leaf', ...ownedBy(middle) } }))
  await api.must('POST', CONFIG_MAPS, configMap('free'))
  const both = {
    ownerReferences: [
      ...ownedBy(owner).ownerReferences,
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'free', uid: (await api.must('GET', `${CONFIG_MAPS}/free`)).metadata.uid },
    ],
  }
  await api.must('POST', CONFIG_MAPS, configMap('shared', both))
  await api.must('DELETE', `${RUNTIMES}/hello`)
  assert.deepEqual(await api.names(CONFIG_MAPS), ['free', 'middle', 'shared'], 'not within the DELETE')
  await api.settle()
  assert.deepEqual(await api.names(CONFIG_MAPS), ['free', 'shared'])
  assert.deepEqual(await api.names(SECRETS), [])
})

test('an owner that never was, is elsewhere, or is of another kind is no owner', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', RUNTIMES, runtime('hello'))
  const node = await api.must('POST', '/api/v1/nodes', { metadata: { name: 'laptop' } })
  const claim = (changes: object): object => ({
    ownerReferences: [{ apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentRuntime', name: 'hello', uid: owner.metadata.uid, ...changes }],
  })
  await api.must('POST', NAMESPACES, { metadata: { name: 'team' } })
  await api.must('POST', CONFIG_MAPS, configMap('right', claim({})))
  await api.must('POST', CONFIG_MAPS, configMap('on-node', ownedBy(node)))
  await api.must('POST', CONFIG_MAPS, configMap('wrong-uid', claim({ uid: 'no-such' })))
  await api.must('POST', CONFIG_MAPS, configMap('wrong-name', claim({ name: 'bye' })))
  await api.must('POST', CONFIG_MAPS, configMap('wrong-kind', claim({ kind: 'AgentSession' })))
  await api.must('POST', CONFIG_MAPS, configMap('adopted'))
  await api.must('POST', '/api/v1/namespaces/team/configmaps', configMap('elsewhere', claim({})))
  await api.merge(`${CONFIG_MAPS}/adopted`, { metadata: claim({ uid: 'no-such' }) })
  await api.settle()
  assert.deepEqual(await api.names('/api/v1/configmaps'), ['on-node', 'right'])
})

test('a dependent with finalizers, or on a node, is only marked', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', CONFIG_MAPS, configMap('owner'))
  await api.must('POST', CONFIG_MAPS, configMap('held', { ...ownedBy(owner), finalizers: ['carrel.dev/x'] }))
  await api.must('POST', PODS, pod('p', ownedBy(owner)))
  await api.must('POST', `${PODS}/p/binding`, { metadata: { name: 'p' }, target: { name: 'laptop' } }, KUBELET)
  await api.must('DELETE', `${CONFIG_MAPS}/owner`, { propagationPolicy: 'Background' })
  await api.settle()
  assert.ok((await api.must('GET', `${CONFIG_MAPS}/held`)).metadata.deletionTimestamp)
  assert.equal((await api.must('GET', `${PODS}/p`)).metadata.deletionGracePeriodSeconds, 30)
})

test('propagationPolicy Orphan leaves the dependents, without their owner', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', CONFIG_MAPS, configMap('owner'))
  await api.must('POST', CONFIG_MAPS, configMap('child', ownedBy(owner)))
  await api.must('DELETE', `${CONFIG_MAPS}/owner`, undefined, { query: { propagationPolicy: 'Orphan' } })
  await api.settle()
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/child`)).metadata.ownerReferences, undefined)
})

test('a namespace that is deleted empties, waits for what is held, and goes', async () => {
  const api = await TestApi.start()
  await api.must('POST', NAMESPACES, { metadata: { name: 'team' } })
  const inside = '/api/v1/namespaces/team/configmaps'
  await api.must('POST', inside, configMap('a'))
  await api.must('POST', inside, configMap('held', { finalizers: ['carrel.dev/x'] }))
  await api.must('DELETE', `${NAMESPACES}/team`)
  await api.settle()
  assert.deepEqual(await api.names(inside), ['held'])
  await api.merge(`${NAMESPACES}/team`, { metadata: { labels: { a: 'b' } }, spec: { finalizers: null } })
  assert.equal((await api.must('GET', `${NAMESPACES}/team`)).status.phase, 'Terminating', 'a write to it does not end it')
  await api.merge(`${inside}/held`, { metadata: { finalizers: null } })
  await api.settle()
  await api.refused(404, 'NotFound', 'GET', `${NAMESPACES}/team`)
  await api.must('POST', NAMESPACES, { metadata: { name: 'team' } })
  assert.deepEqual(await api.names(inside), [])
})

test('the namespaces that everything needs cannot be deleted', async () => {
  const api = await TestApi.start()
  assert.equal(
    (await api.refused(403, 'Forbidden', 'DELETE', `${NAMESPACES}/default`)).message,
    'namespaces "default" is forbidden: this namespace may not be deleted',
  )
  assert.deepEqual(await api.names(NAMESPACES), ['carrel-system', 'default', 'kube-system'])
})

test('DeleteOptions that are none are refused', async () => {
  const api = await TestApi.start()
  await runningPod(api)
  await api.refused(400, 'BadRequest', 'DELETE', `${PODS}/p`, { gracePeriodSeconds: 'soon' })
  await api.refused(400, 'BadRequest', 'DELETE', `${PODS}/p`, undefined, { query: { gracePeriodSeconds: 'soon' } })
  await api.refused(400, 'BadRequest', 'DELETE', `${PODS}/p`, { preconditions: { uid: 7 } })
  assert.equal((await api.must('GET', `${PODS}/p`)).metadata.deletionTimestamp, undefined)
})

test('sessions without pods go with their runtime', async () => {
  const api = await TestApi.start()
  const owner = await api.must('POST', RUNTIMES, runtime('hello'))
  const spec = {
    runtimeRef: { name: 'hello', uid: owner.metadata.uid },
    endpoint: 'DEFAULT',
    sessionId: 's'.repeat(33),
    owner: { kind: 'k', issuer: 'i', subject: 's' },
    incarnation: 1,
  }
  await api.must('POST', SESSIONS, {
    apiVersion: 'carrel.dev/v1alpha1',
    kind: 'AgentSession',
    metadata: { name: 'hello-x', ...ownedBy(owner) },
    spec,
  })
  await api.must('DELETE', `${RUNTIMES}/hello`)
  await api.settle()
  assert.deepEqual(await api.names(SESSIONS), [])
})
