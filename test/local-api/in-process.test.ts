import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/env/virtual.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { ApiError } from '../../src/kube/errors.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { reflect } from '../../src/kube/reflector.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { Store } from '../../src/kube/store.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { TestApi, configMap, pod } from './api-kit.ts'

type ConfigMap = KubeObject & { data?: Record<string, string> }
const CONFIG_MAPS: Resource<ConfigMap> = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }
const PATH = '/api/v1/namespaces/default/configmaps'

test('nothing that crosses the transport is shared between the sides', async () => {
  const api = await TestApi.start()
  const transport = inProcessTransport(api.api, IDENTITIES.admin)
  const client = new KubeClient(transport)
  const sent = { ...configMap('a'), metadata: { name: 'a', namespace: 'default' } } as ConfigMap
  const made = await client.create(CONFIG_MAPS, sent)
  sent.data!['a'] = 'changed after it was sent'
  made.data!['a'] = 'changed by who got it'
  const got = await client.get(CONFIG_MAPS, 'default', 'a')
  got.data!['a'] = 'and again'
  const { items } = await client.list(CONFIG_MAPS)
  items[0]!.data!['a'] = 'and in a list'
  for await (const { object } of transport.watch({ path: PATH })) {
    ;(object as ConfigMap).data!['a'] = 'and in a watch'
    break
  }
  assert.deepEqual((await client.get(CONFIG_MAPS, 'default', 'a')).data, { a: '1' })
})

test('a refusal is an answer to a request, and an error of a watch that could not begin', async () => {
  const api = await TestApi.start()
  const transport = inProcessTransport(api.api, IDENTITIES.gateway)
  const answer = await transport.request({ method: 'GET', path: PATH })
  assert.deepEqual([answer.status, (answer.body as { reason: string }).reason], [403, 'Forbidden'])
  await assert.rejects(
    async () => {
      for await (const _event of transport.watch({ path: PATH })) assert.fail('no event')
    },
    (error) => error instanceof ApiError && error.status === 403,
  )
})

test('a watch ends when its signal aborts, and a log is its text', async () => {
  const logs = {
    async *read() {
      yield Buffer.from('one\n')
      yield Buffer.from('two\n')
    },
  }
  const api = await TestApi.start({ logs })
  const client = new KubeClient(inProcessTransport(api.api, IDENTITIES.operator))
  await client.create(PODS, { ...(pod('p') as any), metadata: { name: 'p', namespace: 'default' } })
  assert.equal(await client.logs('default', 'p'), 'one\ntwo\n')

  const leaving = new AbortController()
  const watch = inProcessTransport(api.api, IDENTITIES.operator).watch({ path: '/api/v1/pods', signal: leaving.signal })
  const seen: string[] = []
  for await (const { type } of watch) {
    seen.push(type)
    leaving.abort()
  }
  assert.deepEqual(seen, ['ADDED'])
})

test('a reflector that fell behind the history lists again, and ends with what is', async () => {
  const api = await TestApi.start({ historySize: 3 })
  const ending = new AbortController()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const store = new Store<ConfigMap>()
  const env = { clock: api.clock, random: seededRandom('reflector'), log }
  const transport = inProcessTransport(api.api, IDENTITIES.admin)
  const running = reflect({ env, transport, resource: CONFIG_MAPS, store }, ending.signal)
  await api.must('POST', PATH, configMap('a'))
  await api.settle(5_000)
  assert.deepEqual(
    store.list().map(({ metadata }) => metadata.name),
    ['a'],
  )

  api.api.compact()
  await api.must('DELETE', `${PATH}/a`)
  for (const name of ['b', 'c', 'd', 'e', 'f']) await api.must('POST', PATH, configMap(name))
  await api.settle(60_000)
  assert.deepEqual(
    store
      .list()
      .map(({ metadata }) => metadata.name)
      .toSorted(),
    ['b', 'c', 'd', 'e', 'f'],
  )
  ending.abort()
  await api.settle()
  await running
})
