import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/env/system.ts'
import { TokenReviews } from '../../src/gateway/auth/cluster-tokens.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { reviewAccess, reviewToken, tokenIssuer } from '../../src/kube/reviews.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'

test('the real API server says whose a token is, for the audience that was asked, and what its user may', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const plane = await ControlPlane.start()
  t.after(() => plane.stop())
  const transport = httpTransport(plane.access)
  t.after(() => transport.close())
  const account = '/api/v1/namespaces/default/serviceaccounts'
  await transport.request({ method: 'POST', path: account, body: { metadata: { name: 'bot' } } })
  const tokenFor = async (audiences: string[]): Promise<string> => {
    const { body } = await transport.request({ method: 'POST', path: `${account}/bot/token`, body: { spec: { audiences } } })
    return (body as { status: { token: string } }).status.token
  }
  const [forCarrel, forOthers] = [await tokenFor(['carrel']), await tokenFor(['others'])]
  const issuer = await tokenIssuer(transport)
  assert.equal(issuer, 'https://kubernetes.default.svc')

  const user = await reviewToken(transport, forCarrel, ['carrel', issuer])
  assert.equal(user?.name, 'system:serviceaccount:default:bot')
  assert.ok(user.groups.includes('system:serviceaccounts:default'))
  assert.equal(await reviewToken(transport, forOthers, ['carrel', issuer]), undefined)
  assert.equal(await reviewToken(transport, `${forCarrel}x`, ['carrel', issuer]), undefined)

  const tokens = new TokenReviews(systemClock, transport)
  assert.deepEqual([await tokens.isOurs(forCarrel), await tokens.isOurs(forOthers), await tokens.isOurs('a.b.c')], [true, false, false])

  const asked = {
    group: 'carrel.dev',
    resource: 'agentruntimes',
    subresource: 'invocations',
    verb: 'create',
    namespace: 'default',
    name: 'one',
  }
  assert.equal(await reviewAccess(transport, user, asked), false)
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
  const rules = [{ apiGroups: ['carrel.dev'], resources: ['agentruntimes/invocations'], resourceNames: ['one'], verbs: ['create'] }]
  await transport.request({ method: 'POST', path: `${rbac}/roles`, body: { metadata: { name: 'call' }, rules } })
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'call' }
  const subjects = [{ kind: 'ServiceAccount', name: 'bot', namespace: 'default' }]
  await transport.request({ method: 'POST', path: `${rbac}/rolebindings`, body: { metadata: { name: 'call' }, roleRef, subjects } })
  await eventually(() => reviewAccess(transport, user, asked), { withinMs: 10_000, because: 'the authorizer has seen the binding' })
  const { name: _one, ...anyName } = asked
  const verdicts = [asked, { ...asked, name: 'two' }, anyName, { ...asked, subresource: 'stop' }].map((question) =>
    reviewAccess(transport, user, question),
  )
  assert.deepEqual(await Promise.all(verdicts), [true, false, false, false])
})
