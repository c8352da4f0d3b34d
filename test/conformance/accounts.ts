/** Callers that are service accounts, with the rights that a scenario gives them. */
import assert from 'node:assert/strict'
import { eventually } from '../kit/eventually.ts'
import type { Stage } from './conformance.ts'
import type { Loose } from './wire.ts'

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
export const CLUSTER_ROLES = `${RBAC}/clusterroles`
export const CLUSTER_ROLE_BINDINGS = `${RBAC}/clusterrolebindings`
export const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews'

/** A token of the account, made if it is not there; in what is recorded it reads as its name. */
export async function tokenOf(on: Stage, account: string, spec: object = {}): Promise<string> {
  const made = await on.ask('POST', on.at('serviceaccounts'), { body: { metadata: { name: account } } })
  assert.ok([201, 409].includes(made.status), JSON.stringify(made.body))
  const { status, body } = await on.ask('POST', on.at('serviceaccounts', account, 'token'), { body: { spec } })
  assert.equal(status, 201, JSON.stringify(body))
  on.mask(body.status.token, `<token of ${account}>`)
  return body.status.token
}

/** Gives the account these rights in the scenario's namespace. */
export async function allow(on: Stage, account: string, rules: object[]): Promise<void> {
  await on.make('roles', { metadata: { name: account }, rules })
  await on.make('rolebindings', binding(account, { kind: 'Role', name: account }, [{ kind: 'ServiceAccount', name: account }]))
  await settled(on)
}

export function binding(name: string, roleRef: { kind: string; name: string }, subjects: object[]): Loose {
  return { metadata: { name }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...roleRef }, subjects }
}

let markers = 0

/** Resolves when the server decides by all roles and bindings that were written before: it learns of them by watches. */
export async function settled(on: Stage): Promise<void> {
  const name = `${on.namespace}-settled-${(markers += 1)}`
  const rules = [{ verbs: ['get'], apiGroups: ['marker'], resources: ['markers'] }]
  const subject = (kind: string): object[] => [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: `${name}-${kind}` }]
  for (const [path, body] of [
    [on.at('roles'), { metadata: { name }, rules }],
    [CLUSTER_ROLES, { metadata: { name }, rules }],
    [on.at('rolebindings'), binding(name, { kind: 'Role', name }, subject('namespaced'))],
    [CLUSTER_ROLE_BINDINGS, binding(name, { kind: 'ClusterRole', name }, subject('cluster'))],
  ] as const) {
    const { status, body: answer } = await on.ask('POST', path, { body })
    assert.equal(status, 201, JSON.stringify(answer))
  }
  for (const kind of ['namespaced', 'cluster']) {
    const resourceAttributes = { verb: 'get', group: 'marker', resource: 'markers', namespace: on.namespace }
    await eventually(
      async () =>
        (await on.ask('POST', ACCESS_REVIEWS, { body: { spec: { user: `${name}-${kind}`, resourceAttributes } } })).body.status?.allowed,
      { withinMs: 30_000, everyMs: 10, because: 'roles and bindings count' },
    )
  }
  await on.ask('DELETE', `${CLUSTER_ROLE_BINDINGS}/${name}`)
  await on.ask('DELETE', `${CLUSTER_ROLES}/${name}`)
}
