import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONFIG_MAPS, JSON_PATCH, MERGE, NAMESPACES, PODS, RUNTIMES, TestApi, configMap, pod, runtime } from './api-kit.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'

/** Held back by no right. */
const SERVER = { user: 'server', groups: ['system:masters'], allows: () => true }
const RV = (object: any): bigint => BigInt(object.metadata.resourceVersion)

test('a created object has what the server gives it, and nothing of the caller instead', async () => {
  const api = await TestApi.start()
  const sent: any = runtime('hello')
  sent.metadata = {
    ...sent.metadata,
    uid: 'mine',
    creationTimestamp: '1999-01-01T00:00:00Z',
    generation: 7,
    deletionTimestamp: '1999-01-01T00:00:00Z',
    namespace: 'default',
  }
  sent.status = { agentRuntimeId: 'claimed' }
  const made = await api.must('POST', RUNTIMES, sent)
  assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/)
  assert.equal(made.metadata.creationTimestamp, '2026-01-01T00:00:00Z')
  assert.equal(made.metadata.generation, 1)
  assert.equal(made.metadata.deletionTimestamp, undefined)
  assert.equal(made.status, undefined)
  assert.equal(made.spec.lifecycle.idleTimeoutSeconds, 900, 'defaults are filled in')
  assert.deepEqual(await api.must('GET', `${RUNTIMES}/hello`), made)
})

test('POST of a name that exists is AlreadyExists, of a resourceVersion is refused', async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, runtime('hello'))
  const again = await api.refused(409, 'AlreadyExists', 'POST', RUNTIMES, runtime('hello'))
  assert.equal(again.message, 'agentruntimes.carrel.dev "hello" already exists')
  assert.deepEqual(again.details, { name: 'hello', group: 'carrel.dev', kind: 'agentruntimes' })
  const { status, body } = await api.send('POST', CONFIG_MAPS, configMap('a', { resourceVersion: '1' }))
  assert.deepEqual([status, body.message], [500, 'resourceVersion should not be set on objects to be created'])
})

test('every write raises one counter for all kinds; a write that changes nothing does not', async () => {
  const api = await TestApi.start()
  const first = await api.must('POST', RUNTIMES, runtime('hello'))
  const second = await api.must('POST', CONFIG_MAPS, configMap('a'))
  assert.ok(RV(second) > RV(first))
  const same = await api.must('PUT', `${CONFIG_MAPS}/a`, second)
  assert.deepEqual(same, second)
  assert.deepEqual(await api.merge(`${CONFIG_MAPS}/a`, { data: { a: '1', b: null } }), second)
  assert.deepEqual(await api.merge(`${RUNTIMES}/hello`, { spec: { lifecycle: { idleTimeoutSeconds: 900 } } }), first)
  assert.ok(RV(await api.merge(`${CONFIG_MAPS}/a`, { data: { a: '2' } })) > RV(second))
})

test('a PUT with a stale resourceVersion is a conflict, in the words that clients know', async () => {
  const api = await TestApi.start()
  const first = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.must('PUT', `${CONFIG_MAPS}/a`, configMap('a', {}, { a: '2' }))
  const late = await api.refused(409, 'Conflict', 'PUT', `${CONFIG_MAPS}/a`, first)
  assert.equal(
    late.message,
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  )
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/a`)).data.a, '2')
  await api.refused(
    409,
    'Conflict',
    'PATCH',
    `${CONFIG_MAPS}/a`,
    { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { a: '3' } },
    { contentType: MERGE },
  )
  await api.refused(409, 'Conflict', 'PUT', `${CONFIG_MAPS}/a`, configMap('a', { uid: 'another' }))
  await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, { metadata: { uid: 'another' }, data: { a: '3' } }, { contentType: MERGE })
  await api.refused(409, 'Conflict', 'PUT', `${CONFIG_MAPS}/a`, configMap('a', { uid: 'another' }))
})

test("Carrel's kinds and leases must name the resourceVersion that a PUT replaces, others need not", async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, runtime('hello'))
  const refusal = await api.refused(422, 'Invalid', 'PUT', `${RUNTIMES}/hello`, runtime('hello'))
  assert.equal(
    refusal.message,
    'agentruntimes.carrel.dev "hello" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
  )
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.must('PUT', `${CONFIG_MAPS}/a`, configMap('a', {}, { b: '1' }))
})

test('generation counts changes of the spec, not those of metadata or status', async () => {
  const api = await TestApi.start()
  await api.must('POST', RUNTIMES, runtime('hello'))
  const path = `${RUNTIMES}/hello`
  assert.equal((await api.merge(path, { metadata: { labels: { a: 'b' } } })).metadata.generation, 1)
  assert.equal((await api.status(path, { latestVersion: 1 })).metadata.generation, 1)
  assert.equal((await api.merge(path, { spec: { startTimeoutSeconds: 5 } })).metadata.generation, 2)
  assert.equal((await api.merge(path, { metadata: { generation: 40 } })).metadata.generation, 2)
})

test('a main write leaves the status, a status write leaves all else (of a pod but for labels, annotations and finalizers)', async () => {
  const api = await TestApi.start()
  for (const [made, path] of [
    [await api.must('POST', RUNTIMES, runtime('hello')), `${RUNTIMES}/hello`],
    [await api.must('POST', PODS, pod('p')), `${PODS}/p`],
  ]) {
    const writer = { as: path.startsWith(PODS) ? SERVER : IDENTITIES.operator, contentType: MERGE }
    const status = path.startsWith(PODS) ? { phase: 'Running' } : { latestVersion: 3 }
    const patch = { status, metadata: { labels: { stolen: 'yes' }, finalizers: ['a/b'] }, spec: { startTimeoutSeconds: 9, nodeName: 'x' } }
    const after = await api.must('PATCH', `${path}/status`, patch, writer)
    assert.deepEqual(after.spec, made.spec)
    const isPod = made.kind === 'Pod'
    assert.deepEqual(after.metadata.labels, isPod ? { stolen: 'yes' } : undefined)
    assert.deepEqual(after.metadata.finalizers, isPod ? ['a/b'] : undefined)
    assert.deepEqual({ ...after.status, ...status }, after.status)

    const main = await api.merge(path, { status: null, metadata: { labels: { kept: 'yes', stolen: null } } })
    assert.deepEqual(main.status, after.status)
    assert.deepEqual(main.metadata.labels, { kept: 'yes' })
    assert.deepEqual(await api.must('GET', `${path}/status`), main)
  }
})

test('a kubelet cannot relabel a pod through its status', async () => {
  const api = await TestApi.start()
  await api.must('POST', PODS, pod('p', { labels: { of: 'ann' } }))
  const writer = { as: IDENTITIES.kubelet, contentType: MERGE }
  for (const labels of [{ of: 'eve' }, { of: null }, { more: 'x' }])
    await api.refused(403, 'Forbidden', 'PATCH', `${PODS}/p/status`, { metadata: { labels }, status: { phase: 'Running' } }, writer)
  const kept = await api.must('PATCH', `${PODS}/p/status`, { status: { phase: 'Running' } }, writer)
  assert.deepEqual(kept.metadata.labels, { of: 'ann' })
})

test('what only the server writes cannot be written', async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', CONFIG_MAPS, configMap('a'))
  const stolen = {
    metadata: { creationTimestamp: '1999-01-01T00:00:00Z', generation: 9, selfLink: '/x', managedFields: [] },
  }
  assert.deepEqual(await api.merge(`${CONFIG_MAPS}/a`, stolen), made)
  for (const metadata of [{ deletionTimestamp: '1999-01-01T00:00:00Z' }, { deletionGracePeriodSeconds: 9 }])
    await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, { metadata }, { contentType: MERGE })
  await api.refused(400, 'BadRequest', 'PUT', `${CONFIG_MAPS}/a`, configMap('b'))
  await api.refused(400, 'BadRequest', 'PUT', `${CONFIG_MAPS}/a`, configMap('a', { namespace: 'other' }))
  await api.refused(400, 'BadRequest', 'POST', CONFIG_MAPS, configMap('c', { namespace: 'other' }))
  await api.refused(400, 'BadRequest', 'POST', CONFIG_MAPS, { ...configMap('c'), kind: 'Secret' })
  await api.refused(400, 'BadRequest', 'POST', CONFIG_MAPS, { ...configMap('c'), apiVersion: 'v2' })
})

test('generateName makes names that differ', async () => {
  const api = await TestApi.start()
  const names = new Set<string>()
  for (let count = 0; count < 20; count += 1) {
    const made = await api.must('POST', CONFIG_MAPS, { ...configMap(''), metadata: { generateName: 'part-' } })
    assert.match(made.metadata.name, /^part-[0-9a-f]{5}$/)
    names.add(made.metadata.name)
  }
  assert.equal(names.size, 20)
})

test('a dry run answers as the write would, and changes nothing', async () => {
  const api = await TestApi.start()
  const query = { dryRun: 'All' }
  const watched = await api.watch(CONFIG_MAPS)
  const tried = await api.must('POST', CONFIG_MAPS, configMap('a'), { query })
  assert.equal(tried.metadata.name, 'a')
  await api.refused(404, 'NotFound', 'GET', `${CONFIG_MAPS}/a`)
  const made = await api.must('POST', CONFIG_MAPS, configMap('a'))
  await api.refused(409, 'AlreadyExists', 'POST', CONFIG_MAPS, configMap('a'), { query })
  assert.equal((await api.merge(`${CONFIG_MAPS}/a`, { data: { a: '9' } }, { query })).data.a, '9')
  await api.must('DELETE', `${CONFIG_MAPS}/a`, undefined, { query })
  await api.must('DELETE', `${CONFIG_MAPS}/a`, { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] })
  await api.must('DELETE', CONFIG_MAPS, { dryRun: ['All'] })
  assert.deepEqual(await api.must('GET', `${CONFIG_MAPS}/a`), made)
  assert.deepEqual(await watched.news(), ['ADDED a'])
})

test('an unknown field of our kinds is refused, pruned with a warning, or pruned, as fieldValidation says', async () => {
  const api = await TestApi.start()
  const sent = runtime('hello', { surplus: { a: 1 } })
  const strict = await api.refused(400, 'BadRequest', 'POST', RUNTIMES, sent, { query: { fieldValidation: 'Strict' } })
  assert.match(
    strict.message,
    /^AgentRuntime in version "v1alpha1" cannot be handled as a AgentRuntime: strict decoding error: unknown field "spec\.surplus"/,
  )
  const warned = await api.send('POST', RUNTIMES, sent)
  assert.equal(warned.status, 201)
  assert.equal(warned.headers['warning'], '299 - "unknown field \\"spec.surplus\\""')
  assert.equal(warned.body.spec.surplus, undefined)
  const patch = { spec: { surplus: 1 } }
  await api.refused(422, 'Invalid', 'PATCH', `${RUNTIMES}/hello`, patch, { contentType: MERGE, query: { fieldValidation: 'Strict' } })
  const ignored = await api.send('PATCH', `${RUNTIMES}/hello`, patch, { contentType: MERGE, query: { fieldValidation: 'Ignore' } })
  assert.deepEqual([ignored.status, ignored.headers['warning']], [200, undefined])
})

test('a refused change names the field and leaves the old object', async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', RUNTIMES, runtime('hello'))
  const refusal = await api.refused(422, 'Invalid', 'PATCH', `${RUNTIMES}/hello`, { spec: { protocol: 'SMTP' } }, { contentType: MERGE })
  assert.match(refusal.message, /^AgentRuntime\.carrel\.dev "hello" is invalid: .*spec\.protocol: Unsupported value: "SMTP"/)
  assert.deepEqual(refusal.details.causes[0].field, 'spec.protocol')
  assert.deepEqual(await api.must('GET', `${RUNTIMES}/hello`), made)
})

test('metadata is held to the rules of names, labels, annotations, owners and finalizers', async () => {
  const api = await TestApi.start()
  const cases: [object, RegExp][] = [
    [{ name: 'Upper' }, /metadata\.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain/],
    [{ name: 'a'.repeat(254) }, /must be no more than 253 characters/],
    [{ name: 'a', labels: { 'a/b/c': 'x' } }, /metadata\.labels: Invalid value: "a\/b\/c": a valid label key/],
    [{ name: 'a', labels: { '/b': 'x' } }, /prefix part must be non-empty/],
    [{ name: 'a', labels: { 'A_/b': 'x' } }, /prefix part a lowercase RFC 1123 subdomain/],
    [{ name: 'a', labels: { k: '-x' } }, /metadata\.labels: Invalid value: "-x": a valid label must be/],
    [{ name: 'a', labels: { k: 'x'.repeat(64) } }, /must be no more than 63 bytes/],
    [{ name: 'a', annotations: { 'a b': 'x' } }, /metadata\.annotations: Invalid value: "a b": name part must consist/],
    [{ name: 'a', annotations: { k: 'x'.repeat(262_144) } }, /metadata\.annotations: Too long: may not be more than 262144 bytes/],
    [{ name: 'a', finalizers: ['no good'] }, /metadata\.finalizers: Invalid value: "no good"/],
    [
      { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] },
      /metadata\.ownerReferences\[0\]\.uid: Required value: must not be empty/,
    ],
  ]
  for (const [metadata, expected] of cases) {
    const refusal = await api.refused(422, 'Invalid', 'POST', CONFIG_MAPS, configMap('', metadata))
    assert.match(refusal.message, expected)
  }
  const owner = (name: string): object => ({ apiVersion: 'v1', kind: 'Pod', name, uid: name, controller: true })
  const two = await api.refused(422, 'Invalid', 'POST', CONFIG_MAPS, configMap('a', { ownerReferences: [owner('p'), owner('q')] }))
  assert.match(two.message, /Only one reference can have Controller set to true/)
  await api.refused(422, 'Invalid', 'POST', NAMESPACES, { metadata: { name: 'a.b' } })
  await api.must(
    'POST',
    CONFIG_MAPS,
    configMap('a', { annotations: { 'Example.COM/Some_Key': 'x' }, labels: { 'carrel.dev/x': '' }, finalizers: ['carrel.dev/x'] }),
  )
})

test('a null is an absent field', async () => {
  const api = await TestApi.start()
  await api.must(
    'POST',
    PODS,
    pod(
      'p',
      { labels: null, finalizers: null, ownerReferences: null, annotations: { gone: null } },
      { nodeName: null, activeDeadlineSeconds: null },
    ),
  )
  const made = await api.must('GET', `${PODS}/p`)
  assert.deepEqual(JSON.stringify(made).match(/null/g), null)
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  assert.equal('data' in (await api.must('PUT', `${CONFIG_MAPS}/a`, { metadata: { name: 'a' }, data: null })), false)
})

test('what a typed server could not read is a bad request', async () => {
  const api = await TestApi.start()
  const refusal = await api.refused(400, 'BadRequest', 'POST', PODS, pod('p', { labels: { a: 1 } }))
  assert.equal(
    refusal.message,
    'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field Pod.metadata.labels.a of type string',
  )
  await api.refused(400, 'BadRequest', 'POST', PODS, pod('p', {}, { containers: 'abc' }))
  await api.refused(400, 'BadRequest', 'POST', PODS, pod('p', {}, { containers: [null] }))
  await api.refused(400, 'BadRequest', 'POST', PODS, [pod('p')])
  await api.refused(400, 'BadRequest', 'POST', PODS, undefined)
  await api.refused(400, 'BadRequest', 'POST', RUNTIMES, { ...runtime('hello'), metadata: 'hello' })
})

test('paths that are none, and methods that do not fit, are refused', async () => {
  const api = await TestApi.start()
  await api.refused(404, 'NotFound', 'GET', '/api/v1/namespaces/default/services')
  await api.refused(404, 'NotFound', 'GET', '/api/v1/pods/p')
  await api.refused(404, 'NotFound', 'GET', '/api/v1/namespaces/default/nodes')
  await api.refused(404, 'NotFound', 'GET', `${CONFIG_MAPS}/a/status`)
  await api.refused(404, 'NotFound', 'GET', '/nowhere')
  await api.refused(405, 'MethodNotAllowed', 'POST', '/api/v1/configmaps', configMap('a'))
  await api.refused(405, 'MethodNotAllowed', 'DELETE', '/api/v1/configmaps')
  await api.refused(405, 'MethodNotAllowed', 'POST', `${CONFIG_MAPS}/a`, configMap('a'))
  await api.refused(405, 'MethodNotAllowed', 'PUT', CONFIG_MAPS, configMap('a'))
  const missing = await api.refused(404, 'NotFound', 'PUT', `${CONFIG_MAPS}/a`, configMap('a'))
  assert.equal(missing.message, 'configmaps "a" not found')
  assert.deepEqual(missing.details, { name: 'a', kind: 'configmaps' })
})

test('a namespace must exist, and one that ends takes nothing new', async () => {
  const api = await TestApi.start()
  const elsewhere = '/api/v1/namespaces/team/configmaps'
  assert.equal((await api.refused(404, 'NotFound', 'POST', elsewhere, configMap('a'))).message, 'namespaces "team" not found')
  assert.deepEqual(await api.names(elsewhere), [])
  const made = await api.must('POST', NAMESPACES, { metadata: { name: 'team' } })
  assert.deepEqual(
    [made.status, made.spec, made.metadata.labels],
    [{ phase: 'Active' }, { finalizers: ['kubernetes'] }, { 'kubernetes.io/metadata.name': 'team' }],
  )
  await api.must('POST', elsewhere, configMap('a', { finalizers: ['carrel.dev/x'] }))
  assert.equal((await api.must('DELETE', `${NAMESPACES}/team`)).status.phase, 'Terminating')
  const late = await api.refused(403, 'Forbidden', 'POST', elsewhere, configMap('b'))
  assert.equal(late.message, 'configmaps "b" is forbidden: unable to create new content in namespace team because it is being terminated')
  assert.equal(late.details.causes[0].reason, 'NamespaceTerminating')
})

test('a JSON patch can be a compare-and-set', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a'))
  const patch = [
    { op: 'test', path: '/data/a', value: '1' },
    { op: 'replace', path: '/data/a', value: '2' },
  ]
  await api.must('PATCH', `${CONFIG_MAPS}/a`, patch, { contentType: JSON_PATCH })
  await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, patch, { contentType: JSON_PATCH })
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/a`)).data.a, '2')
})

test('writes take turns: of two hundred compare-and-sets at once none is lost', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, configMap('a', {}, { count: '0' }))
  const raise = async (): Promise<void> => {
    for (;;) {
      const now = await api.must('GET', `${CONFIG_MAPS}/a`)
      now.data.count = String(Number(now.data.count) + 1)
      const { status } = await api.send('PUT', `${CONFIG_MAPS}/a`, now)
      if (status === 200) return
      assert.equal(status, 409)
    }
  }
  await Promise.all(Array.from({ length: 200 }, raise))
  assert.equal((await api.must('GET', `${CONFIG_MAPS}/a`)).data.count, '200')
})
