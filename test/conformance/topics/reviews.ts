/** The reviews as requests: what is asked, by whom, and what is no question. */
import assert from 'node:assert/strict'
import { ACCESS_REVIEWS, allow, tokenOf } from '../accounts.ts'
import { conformance } from '../conformance.ts'
import { WORDS } from '../differences.ts'

const AUTHORIZATION = '/apis/authorization.k8s.io/v1'
const SELF = `${AUTHORIZATION}/selfsubjectaccessreviews`
const TOKENS = '/apis/authentication.k8s.io/v1/tokenreviews'
const pods = { verb: 'get', resource: 'pods' }

conformance('access reviews that are none', async (on) => {
  const local = `${AUTHORIZATION}/namespaces/${on.namespace}/localsubjectaccessreviews`
  const path = { path: '/x', verb: 'get' }
  for (const [at, body] of [
    [ACCESS_REVIEWS, { spec: { user: 'u' } }],
    [ACCESS_REVIEWS, {}],
    [ACCESS_REVIEWS, { spec: { resourceAttributes: pods } }],
    [ACCESS_REVIEWS, { spec: { user: '', groups: [], resourceAttributes: pods, nonResourceAttributes: path } }],
    [SELF, { spec: {} }],
    [local, { spec: { user: 'u', resourceAttributes: { ...pods, namespace: 'x' } } }],
    [local, { spec: { user: 'u', resourceAttributes: pods } }],
    [local, { spec: { user: 'u', nonResourceAttributes: path } }],
  ] as const)
    assert.equal((await on.call('POST', at, { body })).status, 422)
  for (const at of [ACCESS_REVIEWS, SELF]) {
    const named = { metadata: { name: 'x' }, spec: { ...(at === SELF ? {} : { user: 'u' }), resourceAttributes: pods } }
    assert.equal((await on.call('POST', at, { body: named, ...WORDS })).status, 422)
  }
  for (const spec of [{ user: 7 }, { groups: 'x' }, { resourceAttributes: 'x' }, { resourceAttributes: { verb: 7 } }])
    assert.equal((await on.call('POST', ACCESS_REVIEWS, { body: { spec }, ...WORDS })).status, 400)
  await on.call('POST', local, { body: { spec: { user: 'u', resourceAttributes: { ...pods, namespace: on.namespace } } } })
  await on.call('POST', `${AUTHORIZATION}/selfsubjectrulesreviews`, { body: { spec: {} } })
  await on.call('POST', TOKENS, { body: { spec: { token: '' } } })
  await on.call('POST', TOKENS, { body: { spec: { token: 7 } }, ...WORDS })
  await on.call('POST', SELF, { body: { spec: { resourceAttributes: pods } } })
})

conformance('everybody may ask about itself, and only about itself', async (on) => {
  const token = await tokenOf(on, 'asker')
  const own = { ...pods, namespace: on.namespace }
  await on.call('POST', SELF, { token, body: { spec: { resourceAttributes: own } } })
  await allow(on, 'asker', [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }])
  await on.call('POST', SELF, { token, body: { spec: { resourceAttributes: own } } })
  await on.call('POST', SELF, { token, body: { spec: { resourceAttributes: { ...own, namespace: '' } } } })
  await on.call('POST', SELF, { token, body: { spec: { nonResourceAttributes: { path: '/openid/v1/jwks', verb: 'get' } } } })
  const { body } = await on.ask('POST', `${AUTHORIZATION}/selfsubjectrulesreviews`, { token, body: { spec: { namespace: on.namespace } } })
  const sorted = (rules: object[]): string[] => rules.map((rule) => JSON.stringify(rule)).toSorted()
  const { resourceRules, nonResourceRules, ...rest } = body.status
  const isOfAll = (rule: string): boolean => !rule.includes('clustertrustbundles')
  on.record('rules', {
    ...body,
    status: { ...rest, resourceRules: sorted(resourceRules).filter(isOfAll), nonResourceRules: sorted(nonResourceRules) },
  })
  const who = await on.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { token, body: {} })
  assert.equal(who.body.status.userInfo.username, `system:serviceaccount:${on.namespace}:asker`)
  for (const [path, spec] of [
    [ACCESS_REVIEWS, { user: 'x', resourceAttributes: own }],
    [TOKENS, { token }],
  ] as const)
    assert.equal((await on.call('POST', path, { token, body: { spec } })).status, 403)
})

conformance('reviews are only created', async (on) => {
  for (const path of [TOKENS, ACCESS_REVIEWS]) {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) await on.call(method, path, { body: {} })
  }
})

conformance('acting as another', async (on) => {
  const token = await tokenOf(on, 'asker')
  const whoami = (headers: Record<string, string>): Promise<unknown> =>
    on.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { headers, body: {} })
  const account = `system:serviceaccount:${on.namespace}:x`
  await whoami({ 'impersonate-user': 'alice' })
  await whoami({ 'impersonate-user': 'alice', 'impersonate-group': 'g' })
  await whoami({ 'impersonate-user': account })
  await whoami({ 'impersonate-user': account, 'impersonate-group': 'g' })
  await whoami({ 'impersonate-user': 'alice', 'impersonate-uid': 'u-1' })
  await whoami({ 'impersonate-user': 'system:anonymous' })
  const as = { 'impersonate-user': 'alice' }
  assert.equal((await on.call('GET', on.at('pods'), { headers: as })).status, 403, "nothing is left of the administrator's rights")
  assert.equal((await on.call('GET', on.at('pods'), { headers: { 'impersonate-group': 'g' }, ...WORDS })).status, 400)
  const plain = { differs: 'impersonation-is-plain', differsAt: ['body.message', 'body.details'] } as const
  for (const headers of [as, { 'impersonate-user': account }, { ...as, 'impersonate-group': 'system:masters' }])
    assert.equal((await on.call('GET', on.at('pods'), { token, headers, ...plain })).status, 403)
})
