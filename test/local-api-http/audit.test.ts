import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { audited } from '../../src/local/api/audit/audit.ts'
import type { AuditEvent } from '../../src/local/api/audit/audit.ts'
import { auditFile } from '../../src/local/api/audit/file.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { PODS, pathOf } from '../../src/kube/resource.ts'
import { env, eventually, serve } from './served.ts'

test('calls over HTTP are logged as audit.k8s.io/v1 events that name who, what and how it ended', async (t) => {
  const { send, audit } = await serve(t)
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' } }
  const created = await send('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', { body, headers: { 'user-agent': 'the test' } })
  const event = audit.at(-1)!
  assert.equal(created.headers['audit-id'], event.auditID)
  assert.match(event.requestReceivedTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  const { auditID: _id, requestReceivedTimestamp: _received, stageTimestamp: _stage, ...rest } = event
  assert.deepEqual(rest, {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/default/configmaps?dryRun=All',
    verb: 'create',
    user: { username: 'carrel-admin', groups: ['system:authenticated'] },
    sourceIPs: ['127.0.0.1'],
    userAgent: 'the test',
    objectRef: { resource: 'configmaps', namespace: 'default', name: 'made', apiVersion: 'v1' },
    responseStatus: { metadata: {}, code: 201 },
  })
  await send('DELETE', '/apis/carrel.dev/v1alpha1/namespaces/default/agentsessions/none')
  const refused = audit.at(-1)!
  assert.deepEqual(
    [refused.verb, refused.objectRef!.apiGroup, refused.responseStatus.code, refused.responseStatus.reason],
    ['delete', 'carrel.dev', 404, 'NotFound'],
  )
})

test('calls inside the process are logged the same way, watches at their end', async () => {
  const events: AuditEvent[] = []
  const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: { async *read() {} } })
  await api.start()
  const transport = inProcessTransport(audited(api, env, { write: (event) => void events.push(event) }), IDENTITIES.operator)
  await transport.request({ method: 'GET', path: pathOf(PODS, 'default') })
  assert.deepEqual([events[0]!.verb, events[0]!.user.username, events[0]!.responseStatus.code], ['list', IDENTITIES.operator.user, 200])
  assert.equal('sourceIPs' in events[0]!, false)
  const stop = new AbortController()
  const watch = transport.watch({ path: pathOf(PODS, 'default'), signal: stop.signal })[Symbol.asyncIterator]()
  const next = watch.next()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(events.length, 1)
  stop.abort()
  assert.equal((await next).done, true)
  assert.deepEqual([events.length, events[1]!.verb], [2, 'watch'])
  api.close()
})

test('the audit file has one line for each event, and nobody else may read it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'audit-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'audit.log')
  for (const user of ['first', 'second']) {
    const file = auditFile(path, env.log)
    file.write({ user: { username: user } } as AuditEvent)
    await file.close()
  }
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).user.username),
    ['first', 'second'],
  )
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('an audit file that cannot be written warns once and disturbs nothing', async () => {
  const warnings: string[] = []
  const file = auditFile('/dev/full', { ...env.log, warn: (_fields, message) => void warnings.push(message) })
  file.write({ user: {} } as AuditEvent)
  file.write({ user: {} } as AuditEvent)
  await eventually('the warning', () => warnings.length > 0)
  file.write({ user: {} } as AuditEvent)
  await file.close()
  assert.deepEqual(warnings, ['the audit log cannot be written; requests go on without it'])
})
