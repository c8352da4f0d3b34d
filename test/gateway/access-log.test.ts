import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { AccessEntry, accessLine } from '../../src/gateway/access-log.ts'
import { Headers } from '../../src/gateway/http/headers-in.ts'

const OK = { status: 200, complete: true, errorType: undefined, ms: 12.4 }
const entry = (target = '/runtimes/x/invocations', options = {}): AccessEntry => new AccessEntry('id', 'POST', target, options)

test('a line says what is known, in the form of the schema, and leaves out what is not', () => {
  const bare = entry().line(OK)
  assert.deepEqual(bare, accessLine.parse(bare))
  assert.deepEqual(bare, {
    requestId: 'id',
    method: 'POST',
    path: '/runtimes/x/invocations',
    operation: 'Unknown',
    authentication: 'none',
    status: 200,
    complete: true,
    ms: 12,
  })
  const full = entry()
  full.aimedAt('InvokeAgentRuntime', { runtimeId: 'probe-AbCdEfGhIj', endpoint: 'DEFAULT' })
  full.attemptedAs(new Headers(['Amz-Sdk-Invocation-Id', '6e0ac9f5-4f5a-4c8e', 'amz-sdk-request', 'attempt=2; max=3']))
  full.calledBy('sigv4', { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ada' }, { name: 'ada' })
  Object.assign(full, { sessionId: 's'.repeat(33), bytesIn: 10, bytesOut: 20, waitedMs: 3.6 })
  const line = full.line({ status: undefined, complete: false, errorType: 'RuntimeClientError', ms: 5 })
  assert.deepEqual(line, accessLine.parse(line))
  assert.deepEqual(line, {
    requestId: 'id',
    method: 'POST',
    path: '/runtimes/x/invocations',
    operation: 'InvokeAgentRuntime',
    runtimeId: 'probe-AbCdEfGhIj',
    endpoint: 'DEFAULT',
    authentication: 'sigv4',
    user: 'ada',
    sessionId: 's'.repeat(33),
    status: 0,
    complete: false,
    errorType: 'RuntimeClientError',
    bytesIn: 10,
    bytesOut: 20,
    ms: 5,
    waitedMs: 4,
    awsInvocationId: '6e0ac9f5-4f5a-4c8e',
    attempt: 2,
  })
})

test('the query is never in a line, and a long path is cut', () => {
  assert.equal(entry('/ws?X-Amz-Signature=planted').line(OK).path, '/ws')
  assert.equal(entry(`/${'a'.repeat(5_000)}`).line(OK).path.length, 512)
})

test('the subject of a token is told by hash, with its issuer; in clear where the installation says so', () => {
  const owner = { kind: 'jwt', issuer: 'https://issuer.example', subject: 'ada@example.org' }
  const hashed = entry()
  hashed.calledBy('jwt', owner)
  const { issuer, subject, user } = hashed.line(OK)
  const expected = createHash('sha256').update('https://issuer.example\nada@example.org').digest('hex').slice(0, 16)
  assert.deepEqual([issuer, subject, user], ['https://issuer.example', expected, undefined])

  const clear = entry('/', { logSubjects: true })
  clear.calledBy('jwt', owner)
  assert.equal(clear.line(OK).subject, 'ada@example.org')
})

test('for a user-id header the cluster user is told in clear, the one it names by hash', () => {
  const of = entry()
  of.calledBy('sigv4', { kind: 'user', issuer: 'portal', subject: 'ada@example.org' }, { name: 'portal' })
  const line = of.line(OK)
  assert.deepEqual([line.user, line.issuer], ['portal', undefined])
  assert.match(line.subject!, /^[0-9a-f]{16}$/)
})

test('what an SDK says of its attempt is taken only in the form that SDKs send', () => {
  const attempt = (...headers: string[]): object => {
    const of = entry()
    of.attemptedAs(new Headers(headers))
    const { awsInvocationId, attempt: number } = of.line(OK)
    return { awsInvocationId, attempt: number }
  }
  assert.deepEqual(attempt(), { awsInvocationId: undefined, attempt: undefined })
  assert.deepEqual(attempt('amz-sdk-invocation-id', 'a b"c', 'amz-sdk-request', 'attempt=0'), {
    awsInvocationId: undefined,
    attempt: undefined,
  })
  assert.deepEqual(attempt('amz-sdk-invocation-id', 'x'.repeat(65), 'amz-sdk-request', 'ttl=20260101T000000Z; attempt=3; max=5'), {
    awsInvocationId: undefined,
    attempt: 3,
  })
})
