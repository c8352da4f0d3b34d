import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { ApiError, isAlreadyExists, isConflict, isGone, isNotFound } from '../../src/kube/errors.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import type { ApiRequest, ApiResponse, Transport } from '../../src/kube/transport.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { TestApi } from '../local-api/api-kit.ts'

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

const CONFIG_MAPS: Resource<ConfigMap> = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }

const note = (name: string, text = 'a'): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels: { name } },
  data: { text },
})

/** A client of the embedded API server, and what it sent. */
async function served(): Promise<{ client: KubeClient; sent: ApiRequest[]; api: TestApi }> {
  const api = await TestApi.start()
  const transport = inProcessTransport(api.api, IDENTITIES.admin)
  const sent: ApiRequest[] = []
  const request = (asked: ApiRequest): Promise<ApiResponse> => {
    sent.push(asked)
    return transport.request(asked)
  }
  return { client: new KubeClient({ ...transport, request }), sent, api }
}

/** A client of a server that answers these, in order. */
function answered(...answers: ApiResponse[]): { client: KubeClient; sent: ApiRequest[] } {
  const sent: ApiRequest[] = []
  const transport: Transport = {
    async request(asked) {
      sent.push(structuredClone(asked))
      return answers.shift()!
    },
    async *watch() {},
  }
  return { client: new KubeClient(transport), sent }
}

describe('reading', () => {
  test('get answers the object, and throws NotFound that says what was looked for', async () => {
    const { client } = await served()
    await client.create(CONFIG_MAPS, note('a'))
    assert.deepEqual((await client.get(CONFIG_MAPS, 'default', 'a')).data, { text: 'a' })
    await assert.rejects(
      client.get(CONFIG_MAPS, 'default', 'none'),
      (error) => isNotFound(error) && /get configmaps none: .*not found/.test(String(error)),
    )
  })

  test('find answers undefined for what is not there, and nothing else', async () => {
    const { client } = await served()
    assert.equal(await client.find(CONFIG_MAPS, 'default', 'none'), undefined)
    const { client: refused } = answered({ status: 403, headers: {}, body: { reason: 'Forbidden', message: 'no' } })
    await assert.rejects(refused.find(CONFIG_MAPS, 'default', 'a'), { status: 403, reason: 'Forbidden' })
  })

  test('list brings every page, asks for the newest state, and gives items the kind that lists leave out', async () => {
    const { client, sent } = await served()
    for (let index = 0; index < 501; index += 1) await client.create(CONFIG_MAPS, note(`n${index}`))
    sent.length = 0
    const { items, resourceVersion } = await client.list(CONFIG_MAPS, { namespace: 'default' })
    assert.equal(new Set(items.map(({ metadata }) => metadata.name)).size, 501)
    assert.ok(items.every(({ apiVersion, kind }) => apiVersion === 'v1' && kind === 'ConfigMap'))
    assert.match(resourceVersion, /^\d+$/)
    assert.equal(sent.length, 2)
    assert.ok(sent.every(({ query }) => query?.['limit'] === '500' && !('resourceVersion' in query)))
  })

  test('list selects by label and field', async () => {
    const { client } = await served()
    for (const name of ['a', 'b', 'c']) await client.create(CONFIG_MAPS, note(name))
    const names = async (options: object): Promise<string[]> =>
      (await client.list(CONFIG_MAPS, options)).items.map(({ metadata }) => metadata.name)
    assert.deepEqual(await names({ labelSelector: 'name in (a,c)' }), ['a', 'c'])
    assert.deepEqual(await names({ namespace: 'default', fieldSelector: 'metadata.name=b' }), ['b'])
    assert.deepEqual(await names({ namespace: 'elsewhere' }), [])
  })

  test('a page that has expired is told, not papered over with half a list', async () => {
    const first = {
      status: 200,
      headers: {},
      body: { apiVersion: 'v1', metadata: { resourceVersion: '5', continue: 'more' }, items: [note('a')] },
    }
    const { client } = answered(first, { status: 410, headers: {}, body: { reason: 'Expired', message: 'too old' } })
    await assert.rejects(client.list(CONFIG_MAPS), isGone)
  })
})

describe('writing', () => {
  test('create of a name that is taken is AlreadyExists', async () => {
    const { client } = await served()
    await client.create(CONFIG_MAPS, note('a'))
    await assert.rejects(client.create(CONFIG_MAPS, note('a')), (error) => isAlreadyExists(error) && !isConflict(error))
  })

  test('replace is a compare-and-set', async () => {
    const { client } = await served()
    const first = await client.create(CONFIG_MAPS, note('a'))
    const second = await client.replace(CONFIG_MAPS, { ...first, data: { text: 'b' } })
    assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion)
    await assert.rejects(
      client.replace(CONFIG_MAPS, { ...first, data: { text: 'lost' } }),
      (error) => isConflict(error) && !isAlreadyExists(error),
    )
    assert.deepEqual((await client.get(CONFIG_MAPS, 'default', 'a')).data, { text: 'b' })
  })

  test('a merge patch touches what it names, and holds to its preconditions', async () => {
    const { client, sent } = await served()
    const { metadata } = await client.create(CONFIG_MAPS, note('a'))
    const { uid, resourceVersion } = metadata
    const patched = await client.mergePatch(
      CONFIG_MAPS,
      'default',
      'a',
      { data: { more: 'b' } },
      { uid: uid!, resourceVersion: resourceVersion! },
    )
    assert.deepEqual(patched.data, { text: 'a', more: 'b' })
    assert.deepEqual(patched.metadata.labels, { name: 'a' })
    assert.equal(sent.at(-1)?.contentType, 'application/merge-patch+json')
    const late = client.mergePatch(CONFIG_MAPS, 'default', 'a', { data: { more: 'late' } }, { resourceVersion: resourceVersion! })
    await assert.rejects(late, isConflict)
    const another = client.mergePatch(CONFIG_MAPS, 'default', 'a', { data: { more: 'other' } }, { uid: 'of-another' })
    await assert.rejects(another, isConflict)
    assert.deepEqual((await client.get(CONFIG_MAPS, 'default', 'a')).data, { text: 'a', more: 'b' })
  })

  test('a subresource is written at its own path', async () => {
    const { client, sent } = answered(...Array.from({ length: 2 }, () => ({ status: 200, headers: {}, body: note('a') })))
    await client.replace(CONFIG_MAPS, note('a'), 'status')
    await client.mergePatch(CONFIG_MAPS, 'default', 'a', { status: {} }, { subresource: 'status' })
    assert.deepEqual(
      sent.map(({ method, path }) => `${method} ${path}`),
      ['PUT /api/v1/namespaces/default/configmaps/a/status', 'PATCH /api/v1/namespaces/default/configmaps/a/status'],
    )
    assert.deepEqual(sent[1]?.body, { status: {}, metadata: {} })
  })

  test('a refusal carries status, reason, message and Retry-After', async () => {
    const { client } = answered({ status: 429, headers: { 'retry-after': '7' }, body: { reason: 'TooManyRequests', message: 'slow down' } })
    await assert.rejects(client.create(CONFIG_MAPS, note('a')), {
      name: 'ApiError',
      status: 429,
      reason: 'TooManyRequests',
      message: 'create configmaps a: slow down',
      retryAfterMs: 7_000,
    })
  })

  test('a refusal without a Status still says who refused what', async () => {
    for (const body of ['<html>502</html>', null, undefined, 7]) {
      const { client } = answered({ status: 502, headers: {}, body })
      await assert.rejects(client.get(CONFIG_MAPS, 'default', 'a'), {
        status: 502,
        reason: 'Unknown',
        message: 'get configmaps a: the API server answered 502',
      })
    }
  })
})

describe('deleting', () => {
  test('takes the object of this uid', async () => {
    const { client } = await served()
    const { metadata } = await client.create(CONFIG_MAPS, note('a'))
    assert.equal(await client.delete(CONFIG_MAPS, 'default', 'a', { uid: metadata.uid! }), 'deleted')
    assert.equal(await client.find(CONFIG_MAPS, 'default', 'a'), undefined)
  })

  test('is gone when nothing is there', async () => {
    const { client } = await served()
    assert.equal(await client.delete(CONFIG_MAPS, 'default', 'a', { uid: 'any' }), 'gone')
  })

  test('is gone when another has the name, which is left alone', async () => {
    const { client } = await served()
    const first = await client.create(CONFIG_MAPS, note('a'))
    await client.delete(CONFIG_MAPS, 'default', 'a', { uid: first.metadata.uid! })
    const second = await client.create(CONFIG_MAPS, note('a'))
    assert.equal(await client.delete(CONFIG_MAPS, 'default', 'a', { uid: first.metadata.uid! }), 'gone')
    assert.equal((await client.get(CONFIG_MAPS, 'default', 'a')).metadata.uid, second.metadata.uid)
  })

  test('throws Conflict when the resourceVersion moved, and leaves the object', async () => {
    const { client } = await served()
    const { metadata } = await client.create(CONFIG_MAPS, note('a'))
    await client.mergePatch(CONFIG_MAPS, 'default', 'a', { data: { text: 'b' } })
    const { uid, resourceVersion } = metadata
    await assert.rejects(client.delete(CONFIG_MAPS, 'default', 'a', { uid: uid!, resourceVersion: resourceVersion! }), isConflict)
    assert.ok(await client.find(CONFIG_MAPS, 'default', 'a'))
  })

  test('is gone when the object goes between the refusal and the look at it', async () => {
    const { client, sent } = answered({ status: 409, headers: {}, body: { reason: 'Conflict' } }, { status: 404, headers: {}, body: {} })
    assert.equal(await client.delete(CONFIG_MAPS, 'default', 'a', { uid: 'u', resourceVersion: '4', gracePeriodSeconds: 0 }), 'gone')
    const preconditions = { uid: 'u', resourceVersion: '4' }
    assert.deepEqual(sent[0]?.body, { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, gracePeriodSeconds: 0 })
  })

  test('any other refusal is thrown', async () => {
    const { client } = answered({ status: 403, headers: {}, body: { reason: 'Forbidden', message: 'no' } })
    await assert.rejects(client.delete(CONFIG_MAPS, 'default', 'a', { uid: 'u' }), ApiError)
  })
})

describe('logs', () => {
  test('are text, asked for with their bounds', async () => {
    const { client, sent } = answered({ status: 200, headers: {}, body: 'one\ntwo\n' })
    assert.equal(await client.logs('team', 'a-1', { container: 'agent', tailLines: 20, limitBytes: 4_096 }), 'one\ntwo\n')
    assert.equal(sent[0]?.path, '/api/v1/namespaces/team/pods/a-1/log')
    assert.deepEqual(sent[0]?.query, { container: 'agent', tailLines: '20', limitBytes: '4096' })
  })

  test('of a pod that is not there are NotFound', async () => {
    const { client } = await served()
    await assert.rejects(client.logs('default', 'none'), isNotFound)
  })
})

test('a name or namespace cannot reach another path', async () => {
  const { client, sent } = answered(...Array.from({ length: 2 }, () => ({ status: 404, headers: {}, body: {} })))
  await client.find(PODS, 'a/../b', '../secrets/x?y')
  assert.equal(sent[0]?.path, '/api/v1/namespaces/a%2F..%2Fb/pods/..%2Fsecrets%2Fx%3Fy')
  await client.delete(PODS, undefined, 'x', { uid: 'u' })
  assert.equal(sent[1]?.path, '/api/v1/pods/x')
})
