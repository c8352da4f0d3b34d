import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveMetrics } from '../../src/operator/metrics-server.ts'
import { OperatorMetrics } from '../../src/operator/metrics.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { TestApi } from '../local-api/api-kit.ts'

const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'

test("an operator's metrics are for who may get /metrics, by a token of the cluster", async (t) => {
  const api = await TestApi.start()
  api.api.served({ url: 'https://127.0.0.1:1', tokens: new Map() })
  let ready = false
  const server = await serveMetrics({
    host: '127.0.0.1',
    port: 0,
    kubernetes: inProcessTransport(api.api, IDENTITIES.operator),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    exposition: () => new OperatorMetrics().exposition(),
    isReady: () => ready,
  })
  t.after(() => server.close())
  const get = (path: string, token?: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })

  await api.must('POST', ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'scraper' } })
  const { status } = await api.must('POST', `${ACCOUNTS}/scraper/token`, { spec: { audiences: ['carrel'] } })
  assert.deepEqual([(await get('/metrics')).status, (await get('/metrics', 'made-up')).status], [401, 401])
  const refused = await get('/metrics', status.token)
  assert.equal(refused.status, 403)
  assert.match(await refused.text(), /system:serviceaccount:default:scraper may not get \/metrics/)

  const metadata = { name: 'scrape' }
  const rules = [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]
  await api.must('POST', `${RBAC}/clusterroles`, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules })
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'scrape' }
  const subjects = [{ kind: 'ServiceAccount', name: 'scraper', namespace: 'default' }]
  const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata, roleRef, subjects }
  await api.must('POST', `${RBAC}/clusterrolebindings`, binding)
  const told = await get('/metrics', status.token)
  assert.equal(told.status, 200)
  assert.match(await told.text(), /^carrel_operator_leader 1$/m)

  assert.deepEqual([(await get('/healthz')).status, (await get('/readyz')).status], [200, 503])
  ready = true
  assert.equal((await get('/readyz')).status, 200)
})
