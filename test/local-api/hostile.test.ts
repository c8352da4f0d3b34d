import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ApiCall } from '../../src/local/api/call.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import {
  CONFIG_MAPS,
  JSON_PATCH,
  MERGE,
  PODS,
  REVISIONS,
  RUNTIMES,
  SECRETS,
  STRATEGIC,
  TestApi,
  configMap,
  pod,
  runtime,
  secret,
} from './api-kit.ts'

const COLLECTIONS = [
  RUNTIMES,
  CONFIG_MAPS,
  PODS,
  SECRETS,
  REVISIONS,
  '/api/v1/namespaces',
  '/api/v1/nodes',
  '/api/v1/namespaces/default/events',
  '/apis/events.k8s.io/v1/namespaces/default/events',
  '/apis/coordination.k8s.io/v1/namespaces/default/leases',
]
const PATHS = [...COLLECTIONS, ...COLLECTIONS.flatMap((path) => [`${path}/x`, `${path}/x/status`]), `${PODS}/x/binding`]

const FIELDS = [
  'apiVersion',
  'kind',
  'metadata',
  'name',
  'generateName',
  'namespace',
  'labels',
  'annotations',
  'finalizers',
  'ownerReferences',
  'uid',
  'resourceVersion',
  'deletionTimestamp',
  'spec',
  'status',
  'containers',
  'image',
  'env',
  'data',
  'stringData',
  'type',
  'immutable',
  'revision',
  'artifact',
  'code',
  'lifecycle',
  'conditions',
  'involvedObject',
  'regarding',
  'eventTime',
  'series',
  'target',
  'preconditions',
  'gracePeriodSeconds',
  '$patch',
  '$setElementOrder/containers',
  '$retainKeys',
  '$deleteFromPrimitiveList/finalizers',
  '__proto__',
  'constructor',
  'length',
]

const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.constantFrom(null, true, 0, -1, 1.5, 9e15, '', 'x', 'default', 'v1', '\u0000', 'Ünï', 'delete', 'replace'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...FIELDS), tie('value')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
  ),
}))

const operation = fc.record(
  { op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'), path: pointer(), from: pointer(), value: anything },
  { requiredKeys: [] },
)

function pointer(): fc.Arbitrary<string> {
  return fc
    .array(fc.constantFrom(...FIELDS, '0', '-', '01', '~0', '~2'), { maxLength: 4 })
    .map((parts) => parts.map((part) => `/${part}`).join(''))
}

/** Real objects with one thing put in somewhere: they come further than noise does. */
const REAL = [runtime('x'), configMap('x'), pod('x'), secret('x', { a: 'YQ==' }), { metadata: { name: 'x' }, data: {}, revision: 1 }]
const nearlyReal = fc
  .tuple(fc.constantFrom(...REAL), pointer(), anything)
  .map(([object, at, value]) => placed(structuredClone(object), at.split('/').slice(1), value))

function placed(object: any, path: string[], value: unknown): unknown {
  let parent = object
  for (const key of path.slice(0, -1))
    parent = typeof parent?.[key] === 'object' && parent[key] !== null && Object.hasOwn(parent, key) ? parent[key] : parent
  const key = path.at(-1)
  if (key !== undefined) Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true })
  return object
}

const call = fc.record({
  method: fc.constantFrom<ApiCall['method']>('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
  path: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...PATHS) }, { weight: 1, arbitrary: fc.string().map((text) => `/${text}`) }),
  query: fc.dictionary(
    fc.constantFrom(
      'limit',
      'continue',
      'labelSelector',
      'fieldSelector',
      'resourceVersion',
      'dryRun',
      'fieldValidation',
      'gracePeriodSeconds',
      'propagationPolicy',
    ),
    fc.oneof(fc.string(), fc.constantFrom('All', '1', '-1', 'a in (b)', 'metadata.name=x', 'Strict')),
    { maxKeys: 2 },
  ),
  contentType: fc.constantFrom(MERGE, JSON_PATCH, STRATEGIC, 'application/json', ''),
  body: fc.oneof(anything, nearlyReal, fc.array(operation, { maxLength: 4 })),
  operator: fc.boolean(),
})

/** What the real server, too, answers with 500. */
const LIKE_THE_REAL_SERVER =
  /^resourceVersion should not be set on objects to be created$|^(resourceVersion: .*)?strconv\.ParseUint: parsing |^target\.name: Required value$|declared merge key|^unknown patch type/

test('whatever is sent, the answer is an object or a Status, and the store stays sound', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 25 }), async (calls) => {
      const api = await TestApi.start()
      for (const { method, path, query, contentType, body, operator } of calls) {
        const identity = operator ? IDENTITIES.operator : IDENTITIES.admin
        const answer = await api.api.handle({ identity, method, path, query: new URLSearchParams(query), contentType, body })
        if (!('body' in answer)) continue
        const said = answer.body as { kind?: string; code?: number; message?: string }
        assert.equal(typeof said.kind, 'string', JSON.stringify(said))
        if (said.kind === 'Status') assert.equal(said.code ?? 200, answer.status)
        assert.ok(answer.status !== 500 || LIKE_THE_REAL_SERVER.test(said.message!), said.message)
      }
      await api.settle(100)
      assert.deepEqual(api.warnings, [], 'the collector found no object that it cannot handle')
      for (const path of COLLECTIONS) await soundly(api, path)
    }),
    { numRuns: 150 },
  )
})

async function soundly(api: TestApi, path: string): Promise<void> {
  for (const { metadata } of (await api.must('GET', path)).items) {
    assert.ok(metadata.name && metadata.uid && metadata.resourceVersion && metadata.creationTimestamp)
    for (const map of [metadata.labels ?? {}, metadata.annotations ?? {}])
      assert.ok(Object.values(map).every((value) => typeof value === 'string'))
  }
}
