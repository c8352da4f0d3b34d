/** Namespaces: missing ones, and those that end. */
import assert from 'node:assert/strict'
import { conformance } from '../conformance.ts'
import { configMap, session } from '../objects.ts'

conformance('nothing can be made in a namespace that is not there', async (on) => {
  assert.equal((await on.call('POST', '/api/v1/namespaces/none/configmaps', { body: configMap('a') })).status, 404)
  assert.equal((await on.call('POST', '/apis/carrel.dev/v1alpha1/namespaces/none/agentsessions', { body: session('a') })).status, 404)
  await on.call('DELETE', '/api/v1/namespaces/none')
  await on.call('DELETE', '/api/v1/namespaces/none/configmaps')
})

conformance('a namespace is made, and changed', async (on) => {
  const name = `${on.namespace}-made`
  const made = await on.call('POST', '/api/v1/namespaces', {
    body: { metadata: { name, labels: { a: 'b' } }, spec: { finalizers: ['carrel.dev/x'] } },
    differs: 'namespace-finalizers',
    differsAt: ['body.spec.finalizers'],
  })
  assert.equal(made.status, 201)
  await on.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } })
  await on.call('PATCH', `/api/v1/namespaces/${name}`, {
    body: { metadata: { labels: { c: 'd', 'kubernetes.io/metadata.name': 'else' } } },
    differs: 'namespace-finalizers',
    differsAt: ['body.spec.finalizers'],
  })
  for (const bad of ['A', 'a.b', 'x'.repeat(64), '-a', ''])
    await on.call('POST', '/api/v1/namespaces', { body: { metadata: { name: bad } } })
  await on.call('DELETE', '/api/v1/namespaces/default')
  await on.call('DELETE', '/api/v1/namespaces/kube-system')
})

conformance('a namespace that ends takes its content with it, and takes nothing new', async (on) => {
  const name = `${on.namespace}-ends`
  await on.subject.makeNamespace(name)
  const path = `/api/v1/namespaces/${name}`
  await on.call('POST', `${path}/configmaps`, { body: configMap('held', {}, { finalizers: ['carrel.dev/a'] }) })
  await on.call('POST', `${path}/configmaps`, { body: configMap('free') })
  await on.call('POST', `/apis/carrel.dev/v1alpha1/namespaces/${name}/agentsessions`, { body: session('a') })
  const marked = await on.call('DELETE', path)
  assert.equal(marked.status, 200)
  assert.equal(marked.body.status.phase, 'Terminating')
  assert.equal((await on.call('POST', `${path}/configmaps`, { body: configMap('late') })).status, 403)
  assert.equal((await on.call('POST', `/apis/carrel.dev/v1alpha1/namespaces/${name}/agentsessions`, { body: session('late') })).status, 403)
  await on.until(`${path}/configmaps/free`, ({ status }) => status === 404, 'what nothing holds is gone')
  await on.until(`/apis/carrel.dev/v1alpha1/namespaces/${name}/agentsessions/a`, ({ status }) => status === 404, 'our kinds too')
  await on.until(`${path}/configmaps/held`, ({ body }) => body.metadata?.deletionTimestamp, 'what is held is marked')
  assert.equal((await on.ask('GET', path)).status, 200)
  await on.ask('PATCH', `${path}/configmaps/held`, { body: { metadata: { finalizers: null } } })
  await on.until(path, ({ status }) => status === 404, 'the namespace is gone')
})
