import assert from 'node:assert/strict'
import { test } from 'node:test'
import { negotiate } from '../../src/local/api/http/media-types.ts'
import { requestInfo } from '../../src/local/api/request-info.ts'

test('a path says verb, kind, namespace, name and subresource', () => {
  const about = (method: string, target: string): unknown => {
    const [path = '', query = ''] = target.split('?')
    const { verb, object } = requestInfo(method, path, new URLSearchParams(query))
    return object === undefined ? verb : [verb, object.group, object.resource, object.namespace, object.name, object.subresource]
  }
  assert.deepEqual(about('GET', '/api/v1/pods'), ['list', '', 'pods', undefined, undefined, undefined])
  assert.deepEqual(about('GET', '/api/v1/namespaces/a/pods?watch=true'), ['watch', '', 'pods', 'a', undefined, undefined])
  assert.deepEqual(about('GET', '/api/v1/namespaces/a/pods?watch=0'), ['list', '', 'pods', 'a', undefined, undefined])
  assert.deepEqual(about('POST', '/api/v1/namespaces/a/pods/p/binding'), ['create', '', 'pods', 'a', 'p', 'binding'])
  assert.deepEqual(about('PUT', '/apis/carrel.dev/v1alpha1/namespaces/a/agentsessions/s/status'), [
    'update',
    'carrel.dev',
    'agentsessions',
    'a',
    's',
    'status',
  ])
  assert.deepEqual(about('DELETE', '/apis/carrel.dev/v1alpha1/namespaces/a/agentsessions'), [
    'deletecollection',
    'carrel.dev',
    'agentsessions',
    'a',
    undefined,
    undefined,
  ])
  assert.deepEqual(about('GET', '/api/v1/namespaces'), ['list', '', 'namespaces', undefined, undefined, undefined])
  assert.deepEqual(about('DELETE', '/api/v1/namespaces/a'), ['delete', '', 'namespaces', 'a', 'a', undefined])
  assert.deepEqual(about('PATCH', '/api/v1/namespaces/a/status'), ['patch', '', 'namespaces', 'a', 'a', 'status'])
  assert.deepEqual(about('GET', '/api/v1/nodes/n'), ['get', '', 'nodes', undefined, 'n', undefined])
  assert.equal(about('GET', '/apis/carrel.dev/v1alpha1'), 'get')
  assert.equal(about('GET', '/healthz'), 'get')
})

test('a client gets the first representation that exists', () => {
  assert.equal(negotiate(undefined), 'json')
  assert.equal(negotiate('*/*'), 'json')
  assert.equal(negotiate('application/vnd.kubernetes.protobuf,application/json'), 'json')
  assert.equal(negotiate('application/vnd.kubernetes.protobuf'), undefined)
  assert.equal(negotiate('application/json;as=Table;v=v1;g=meta.k8s.io,application/json'), 'table')
  assert.equal(negotiate('application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'), 'json')
  assert.equal(negotiate('application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'), 'metadata')
  assert.equal(negotiate('text/html'), undefined)
  assert.equal(negotiate('application/json;q=0.1, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9'), 'table')
})
