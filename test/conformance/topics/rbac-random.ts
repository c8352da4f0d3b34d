/** Random roles, bindings and questions: both servers say yes and no to the same. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ACCESS_REVIEWS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, settled } from '../accounts.ts'
import { conformance } from '../conformance.ts'

/** Set it to repeat a run. */
const SEED = Number(process.env['CARREL_TEST_SEED'] ?? Date.now() % 1_000_000)
const QUESTIONS = 200

const some = <Value>(values: readonly Value[], minLength = 1): fc.Arbitrary<Value[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength, maxLength: 3 })
const VERBS = ['get', 'list', 'create', 'update', '*'] as const
const GROUPS = ['', 'carrel.dev', '*'] as const
const RESOURCES = ['pods', 'agentruntimes', 'pods/log', 'agentruntimes/status', '*/status', '*', 'pods/*'] as const
const NAMES = ['a', 'b'] as const
const URLS = ['/x', '/x/*', '/x*', '*', '/'] as const

const ofResources = fc.record({
  verbs: some(VERBS),
  apiGroups: some(GROUPS),
  resources: some(RESOURCES),
  resourceNames: fc.oneof(fc.constant([]), some(NAMES)),
})
const ofPaths = fc.record({ verbs: some(VERBS), nonResourceURLs: some(URLS) })
const roles = fc.array(ofResources, { maxLength: 3 })
const clusterRoles = fc.array(fc.oneof(ofResources, ofPaths), { maxLength: 3 })

conformance('random roles, bindings and questions', async (on) => {
  const name = (kind: string, index: number): string => `${on.namespace}-${kind}-${index}`
  const people = [0, 1, 2].map((index) => name('person', index))
  const subject = fc.oneof(
    fc.constantFrom(...people).map((each) => ({ kind: 'User', name: each })),
    fc.constantFrom(...people).map((each) => ({ kind: 'Group', name: each })),
    fc.record({
      kind: fc.constant('ServiceAccount'),
      name: fc.constantFrom('sa', 'sb'),
      namespace: fc.constantFrom(on.namespace, 'elsewhere'),
    }),
  )
  const sample = <Value>(values: fc.Arbitrary<Value>, count: number): Value[] => fc.sample(values, { seed: SEED, numRuns: count })
  const bindings = (kinds: string[]): fc.Arbitrary<object> =>
    fc.record({
      roleRef: fc.record({ kind: fc.constantFrom(...kinds), index: fc.integer({ min: 0, max: 5 }) }).map(({ kind, index }) => ({
        apiGroup: 'rbac.authorization.k8s.io',
        kind,
        name: name(kind, index),
      })),
      subjects: fc.array(subject, { maxLength: 3 }),
    })
  const made: [path: string, body: object][] = [
    ...sample(roles, 5).map((rules, index): [string, object] => [on.at('roles'), { metadata: { name: name('Role', index) }, rules }]),
    ...sample(clusterRoles, 5).map((rules, index): [string, object] => [
      CLUSTER_ROLES,
      { metadata: { name: name('ClusterRole', index) }, rules },
    ]),
    ...sample(bindings(['Role', 'ClusterRole']), 6).map((body, index): [string, object] => [
      on.at('rolebindings'),
      { metadata: { name: name('binding', index) }, ...body },
    ]),
    ...sample(bindings(['ClusterRole']), 3).map((body, index): [string, object] => [
      CLUSTER_ROLE_BINDINGS,
      { metadata: { name: name('binding', index) }, ...body },
    ]),
  ]
  for (const [path, body] of made) {
    const answer = await on.ask('POST', path, { body })
    assert.equal(answer.status, 201, JSON.stringify(answer.body))
  }
  await settled(on)
  const resourceAttributes = fc.record({
    verb: fc.constantFrom(...VERBS, 'watch'),
    group: fc.constantFrom('', 'carrel.dev', 'apps'),
    resource: fc.constantFrom('pods', 'agentruntimes', 'secrets'),
    subresource: fc.constantFrom('', 'log', 'status'),
    namespace: fc.constantFrom(on.namespace, on.namespace, 'elsewhere', ''),
    name: fc.constantFrom('', 'a', 'b', 'c'),
  })
  const nonResourceAttributes = fc.record({ verb: fc.constantFrom('get', 'list'), path: fc.constantFrom('/x', '/x/y', '/xy', '/', '/z') })
  const questions = fc.record({
    user: fc.constantFrom(...people, `system:serviceaccount:${on.namespace}:sa`, 'system:serviceaccount:elsewhere:sb'),
    groups: fc.uniqueArray(fc.constantFrom(...people), { maxLength: 2 }),
    asked: fc.oneof(
      { weight: 4, arbitrary: fc.record({ resourceAttributes }) },
      { weight: 1, arbitrary: fc.record({ nonResourceAttributes }) },
    ),
  })
  const verdicts = await Promise.all(
    sample(questions, QUESTIONS).map(async ({ asked, ...person }) => {
      const spec = { ...person, ...asked }
      const { status, body } = await on.ask('POST', ACCESS_REVIEWS, { body: { spec } })
      assert.equal(status, 201, JSON.stringify(body))
      return { title: `seed ${SEED}: ${JSON.stringify(spec)}`, allowed: body.status.allowed as boolean }
    }),
  )
  for (const { title, allowed } of verdicts) on.record(title, { allowed })
  for (const [path, body] of made.filter(([each]) => each === CLUSTER_ROLES || each === CLUSTER_ROLE_BINDINGS))
    await on.ask('DELETE', `${path}/${(body as { metadata: { name: string } }).metadata.name}`)
})
