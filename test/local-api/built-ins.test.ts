import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogOptions } from '../../src/local/api/call.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { CONFIG_MAPS, MERGE, PODS, REVISIONS, SECRETS, TestApi, configMap, pod, secret } from './api-kit.ts'

const CORE_EVENTS = '/api/v1/namespaces/default/events'
const NEW_EVENTS = '/apis/events.k8s.io/v1/namespaces/default/events'

test("a pod's defaults are filled in, of which a PUT must bring the service account only", async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', PODS, pod('p'))
  assert.deepEqual([made.status.phase, made.spec.restartPolicy, made.spec.terminationGracePeriodSeconds], ['Pending', 'Always', 30])
  assert.deepEqual(await api.must('PUT', `${PODS}/p`, pod('p', {}, { serviceAccountName: 'default', serviceAccount: 'default' })), made)
  await api.refused(422, 'Invalid', 'PUT', `${PODS}/p`, pod('p'))
})

test('a pod is fixed but for its image, deadline and tolerations', async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', PODS, pod('p'))
  await api.must(
    'PUT',
    `${PODS}/p`,
    pod(
      'p',
      {},
      {
        containers: [{ name: 'agent', image: 'b', imagePullPolicy: 'Always' }],
        serviceAccountName: 'default',
        serviceAccount: 'default',
        activeDeadlineSeconds: 60,
        tolerations: [...made.spec.tolerations, { key: 'x' }],
      },
    ),
  )
  for (const spec of [
    { nodeName: 'laptop' },
    { restartPolicy: 'Never' },
    { containers: [{ name: 'agent', image: 'a', command: ['x'] }] },
  ]) {
    const refusal = await api.refused(422, 'Invalid', 'PATCH', `${PODS}/p`, { spec }, { contentType: MERGE })
    assert.match(refusal.message, /^Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than/)
  }
  await api.refused(422, 'Invalid', 'PATCH', `${PODS}/p`, { spec: null }, { contentType: MERGE })
})

test('a pod needs containers with names of their own and images', async () => {
  const api = await TestApi.start()
  const cases: [unknown[], string][] = [
    [[], 'spec.containers: Required value'],
    [[{ image: 'a' }], 'spec.containers[0].name: Required value'],
    [[{ name: 'a' }], 'spec.containers[0].image: Required value'],
    [
      [
        { name: 'a', image: 'a' },
        { name: 'a', image: 'b' },
      ],
      'spec.containers[1].name: Duplicate value: "a"',
    ],
  ]
  for (const [containers, expected] of cases) {
    const refusal = await api.refused(422, 'Invalid', 'POST', PODS, pod('p', {}, { containers }))
    assert.equal(refusal.message, `Pod "p" is invalid: ${expected}`)
  }
})

test('a pod is bound to one node, once', async () => {
  const api = await TestApi.start()
  await api.must('POST', PODS, pod('p'))
  const bind = (name?: string): Parameters<TestApi['send']> => [
    'POST',
    `${PODS}/p/binding`,
    { metadata: { name: 'p' }, target: { kind: 'Node', name } },
    { as: IDENTITIES.kubelet },
  ]
  assert.equal((await api.send(...bind())).body.message, 'target.name: Required value')
  assert.equal((await api.send(...bind('laptop'))).status, 201)
  assert.equal((await api.must('GET', `${PODS}/p`)).spec.nodeName, 'laptop')
  const again = await api.send(...bind('other'))
  assert.deepEqual([again.status, again.body.reason], [409, 'Conflict'])
  assert.match(again.body.message, /pod p is already assigned to node "laptop"/)
})

test("a secret's text is encoded, its type never changes, and an immutable one is fixed", async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', SECRETS, { ...secret('key', { a: 'YQ==' }), type: 'carrel.dev/access-key', stringData: { b: 'bé' } })
  assert.deepEqual(
    [made.data, made.stringData, made.type],
    [{ a: 'YQ==', b: Buffer.from('bé').toString('base64') }, undefined, 'carrel.dev/access-key'],
  )
  assert.equal((await api.must('POST', SECRETS, secret('plain'))).type, 'Opaque')
  const retyped = await api.refused(422, 'Invalid', 'PUT', `${SECRETS}/key`, secret('key', { a: 'YQ==' }))
  assert.equal(retyped.message, 'Secret "key" is invalid: type: Invalid value: "Opaque": field is immutable')
  await api.refused(400, 'BadRequest', 'POST', SECRETS, secret('bad', { a: 'not base64!' }))
  await api.refused(422, 'Invalid', 'POST', SECRETS, secret('bad', { 'a/b': 'YQ==' }))
  await api.merge(`${SECRETS}/key`, { immutable: true })
  for (const patch of [{ data: { a: 'Yg==' } }, { stringData: { c: 'd' } }, { immutable: null }, { immutable: false }]) {
    await api.refused(422, 'Invalid', 'PATCH', `${SECRETS}/key`, patch, { contentType: MERGE })
  }
  await api.merge(`${SECRETS}/key`, { metadata: { labels: { a: 'b' } } })
})

test('an immutable ConfigMap is fixed', async () => {
  const api = await TestApi.start()
  await api.must('POST', CONFIG_MAPS, { ...configMap('a'), immutable: true })
  const refusal = await api.refused(422, 'Invalid', 'PATCH', `${CONFIG_MAPS}/a`, { data: { a: '2' } }, { contentType: MERGE })
  assert.equal(refusal.message, 'ConfigMap "a" is invalid: data: Forbidden: field is immutable when `immutable` is set')
})

test('the data of a ControllerRevision never changes, its number may', async () => {
  const api = await TestApi.start()
  const made = await api.must('POST', REVISIONS, { metadata: { name: 'r' }, data: { spec: { a: null, b: [1] } }, revision: 1 })
  assert.deepEqual(made.data, { spec: { a: null, b: [1] } }, 'kept as it is, nulls too')
  await api.refused(422, 'Invalid', 'PATCH', `${REVISIONS}/r`, { data: { spec: { b: [2] } } }, { contentType: MERGE })
  assert.equal((await api.merge(`${REVISIONS}/r`, { revision: 2 })).revision, 2)
  await api.refused(422, 'Invalid', 'POST', REVISIONS, { metadata: { name: 's' }, revision: 1 })
  await api.refused(422, 'Invalid', 'POST', REVISIONS, { metadata: { name: 's' }, data: {}, revision: -1 })
})

function newEvent(name: string, changes: object = {}): object {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'carrel.dev/operator',
    reportingInstance: 'one',
    action: 'Start',
    reason: 'Started',
    regarding: { apiVersion: 'carrel.dev/v1alpha1', kind: 'AgentSession', namespace: 'default', name: 's', uid: 'u' },
    note: 'it runs',
    type: 'Normal',
    ...changes,
  }
}

test('events of both APIs are one store with two faces', async () => {
  const api = await TestApi.start()
  const sent: any = newEvent('e')
  const made = await api.must('POST', NEW_EVENTS, sent)
  const { metadata: _metadata, ...content } = sent
  assert.deepEqual({ ...made, ...content }, made)
  const core = await api.must('GET', `${CORE_EVENTS}/e`)
  assert.deepEqual(
    [core.apiVersion, core.involvedObject, core.message, core.reportingComponent, core.regarding, core.note],
    ['v1', sent.regarding, 'it runs', 'carrel.dev/operator', undefined, undefined],
  )
  assert.equal(core.metadata.uid, made.metadata.uid)

  const old = {
    metadata: { name: 'f' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'Pulled',
    message: 'm',
    type: 'Normal',
    count: 3,
    source: { component: 'kubelet' },
    firstTimestamp: 't1',
    lastTimestamp: '2026-01-01T00:00:00Z',
  }
  await api.must('POST', CORE_EVENTS, old)
  const converted = await api.must('GET', `${NEW_EVENTS}/f`)
  assert.deepEqual(
    [
      converted.regarding,
      converted.note,
      converted.deprecatedCount,
      converted.deprecatedSource,
      converted.deprecatedLastTimestamp,
      converted.count,
    ],
    [old.involvedObject, 'm', 3, { component: 'kubelet' }, '2026-01-01T00:00:00Z', undefined],
  )
  await api.refused(409, 'AlreadyExists', 'POST', CORE_EVENTS, { ...old, metadata: { name: 'e' } })
})

test('events are found by what they are about, through both faces, and a watch of one sees writes of the other', async () => {
  const api = await TestApi.start()
  const watched = await api.watch(CORE_EVENTS, { fieldSelector: 'involvedObject.uid=u' })
  await api.must('POST', NEW_EVENTS, newEvent('e'))
  await api.must(
    'POST',
    NEW_EVENTS,
    newEvent('f', { regarding: { kind: 'Pod', namespace: 'default', name: 's', uid: 'v' }, reason: 'Failed', type: 'Warning' }),
  )
  const asKubectlDescribes = 'involvedObject.name=s,involvedObject.namespace=default,involvedObject.kind=AgentSession,involvedObject.uid=u'
  assert.deepEqual(await api.names(CORE_EVENTS, { fieldSelector: asKubectlDescribes }), ['e'])
  assert.deepEqual(await api.names(NEW_EVENTS, { fieldSelector: 'regarding.kind=Pod' }), ['f'])
  assert.deepEqual(await api.names(NEW_EVENTS, { fieldSelector: 'type=Warning,reason=Failed' }), ['f'])
  await api.must(
    'PATCH',
    `${NEW_EVENTS}/e`,
    { series: { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' } },
    { contentType: MERGE },
  )
  assert.deepEqual(await watched.news(), ['ADDED e', 'MODIFIED e'])
  assert.deepEqual((watched.events[1] as any).object.series.count, 2)
})

test('an event that the real server would refuse is refused', async () => {
  const api = await TestApi.start()
  const cases: [object, RegExp][] = [
    [{ eventTime: null }, /eventTime: Required value/],
    [{ series: { count: 1 } }, /series\.count: Invalid value: .*: should be at least 2, series\.lastObservedTime: Required value/],
    [{ reportingController: '' }, /reportingController: Required value/],
    [{ action: undefined }, /action: Required value/],
    [{ reason: 'r'.repeat(129) }, /reason: Invalid value: "": can have at most 128 characters/],
    [{ note: 'é'.repeat(600) }, /message: Invalid value: "": can have at most 1024 characters/],
    [{ type: 'Bad' }, /type: Invalid value: "": has invalid value: Bad/],
  ]
  for (const [changes, expected] of cases) {
    const refusal = await api.refused(422, 'Invalid', 'POST', NEW_EVENTS, newEvent('e', changes))
    assert.match(refusal.message, expected)
  }
  await api.refused(400, 'BadRequest', 'POST', NEW_EVENTS, newEvent('e', { eventTime: '2026-01-01T00:00:00Z' }))
  await api.must('POST', NEW_EVENTS, newEvent('elsewhere', { regarding: { kind: 'Pod', namespace: 'other', name: 'p' } }))
  await api.must('POST', NEW_EVENTS, newEvent('e'))
  await api.refused(422, 'Invalid', 'PATCH', `${NEW_EVENTS}/e`, { note: 'another' }, { contentType: MERGE })
})

test('events are forgotten an hour after the last', async () => {
  const api = await TestApi.start()
  await api.must('POST', NEW_EVENTS, newEvent('once'))
  await api.must('POST', NEW_EVENTS, newEvent('again'))
  const half = new Date(api.clock.now() + 1_800_000).toISOString().replace('Z', '000Z')
  await api.must('PATCH', `${NEW_EVENTS}/again`, { series: { count: 2, lastObservedTime: half } }, { contentType: MERGE })
  await api.settle(3_599_000)
  assert.deepEqual(await api.names(CORE_EVENTS), ['again', 'once'])
  await api.settle(2_000)
  assert.deepEqual(await api.names(CORE_EVENTS), ['again'])
  await api.settle(3_600_000)
  assert.deepEqual(await api.names(CORE_EVENTS), [])
})

test('the definitions of our kinds can be read and nothing else', async () => {
  const api = await TestApi.start()
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  assert.deepEqual(await api.names(path), ['agentruntimes.carrel.dev', 'agentsessions.carrel.dev'])
  const definition = await api.must('GET', `${path}/agentruntimes.carrel.dev`)
  assert.equal(definition.spec.names.kind, 'AgentRuntime')
  await api.refused(403, 'Forbidden', 'DELETE', `${path}/agentruntimes.carrel.dev`)
  await api.refused(403, 'Forbidden', 'POST', path, definition)
  await api.refused(403, 'Forbidden', 'PUT', `${path}/agentruntimes.carrel.dev`, definition)
})

test('pods/log asks the logs for what the query says', async () => {
  const asked: { pod: string; container: string; options: LogOptions }[] = []
  const logs = {
    async *read(of: any, container: string, options: LogOptions) {
      asked.push({ pod: of.metadata.name, container, options })
      yield Buffer.from('line\n')
    },
  }
  const api = await TestApi.start({ logs })
  await api.must(
    'POST',
    PODS,
    pod(
      'p',
      {},
      {
        containers: [
          { name: 'agent', image: 'a' },
          { name: 'meter', image: 'm' },
        ],
      },
    ),
  )
  const read = async (query: Record<string, string>): Promise<string> => {
    const answer = await api.api.handle({
      identity: IDENTITIES.operator,
      method: 'GET',
      path: `${PODS}/p/log`,
      query: new URLSearchParams(query),
    })
    assert.ok('text' in answer, JSON.stringify(answer))
    let text = ''
    for await (const chunk of answer.text) text += Buffer.from(chunk).toString()
    return text
  }
  assert.equal(await read({}), 'line\n')
  assert.equal(
    await read({ container: 'meter', tailLines: '5', limitBytes: '100', follow: 'true', timestamps: 'true', sinceSeconds: '3' }),
    'line\n',
  )
  assert.deepEqual(asked, [
    { pod: 'p', container: 'agent', options: {} },
    { pod: 'p', container: 'meter', options: { tailLines: 5, limitBytes: 100, follow: true, timestamps: true, sinceSeconds: 3 } },
  ])
  await api.refused(400, 'BadRequest', 'GET', `${PODS}/p/log`, undefined, { query: { container: 'no-such' } })
  await api.refused(400, 'BadRequest', 'GET', `${PODS}/p/log`, undefined, { query: { tailLines: '-1' } })
  await api.refused(404, 'NotFound', 'GET', `${PODS}/q/log`)
})

test('a mounted path is served for the same identities', async () => {
  const api = await TestApi.start()
  api.api.mount('/carrel.dev/activity', async (call) => ({ status: 200, body: { path: call.path, user: call.identity.user } }))
  assert.deepEqual(await api.must('POST', '/carrel.dev/activity/touch', {}, { as: IDENTITIES.gateway }), {
    path: '/carrel.dev/activity/touch',
    user: IDENTITIES.gateway.user,
  })
  await api.refused(404, 'NotFound', 'POST', '/carrel.dev/activityelse', {})
})
