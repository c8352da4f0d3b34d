import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { BedrockAgentCoreClient, InvokeAgentRuntimeCommand, StopRuntimeSessionCommand } from '@aws-sdk/client-bedrock-agentcore'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, type RawAnswer, type RawGateway, type RawRequest } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { sharedFolder } from '../kit/shared-folder.ts'
import { errorOf, thrownBySdk } from '../kit/wire-error.ts'

interface Watched {
  installation: Installation
  gateway: RawGateway
  arn: string
  /** A session with a live agent. */
  sessionId: string
  /** A request to it that would succeed. */
  request: (change?: Partial<RawRequest>) => RawRequest
  /** Throws unless the agent has seen no byte since the last look. */
  nothingSeen: () => Promise<void>
}

/** An installation with one live session whose agent writes down each byte that it gets. */
async function watched(t: TestContext): Promise<Watched> {
  const record = join(sharedFolder(t), 'record')
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { environment: { RECORD_FILE: record } }))
  const { gateway } = installation
  const sessionId = newSessionId()
  const body = '{"do":"boot"}'
  await gateway.ask(arn, sessionId, { do: 'boot' })
  const request = (change: Partial<RawRequest> = {}): RawRequest => ({
    path: invocationPath(arn),
    headers: { [SESSION_HEADER]: sessionId, 'content-type': 'application/json' },
    body,
    ...change,
  })
  const once = `POST /invocations\n${body}`
  let calls = 1
  const nothingSeen = async (): Promise<void> => {
    assert.equal(readFileSync(record, 'utf8'), once.repeat(calls))
    assert.equal((await gateway.send(request())).status, 200, 'a good call is still served, by the same agent')
    calls += 1
    assert.equal(readFileSync(record, 'utf8'), once.repeat(calls))
    assert.equal((await installation.sessions()).length, 1, 'no other session was opened')
  }
  return { installation, gateway, arn, sessionId, request, nothingSeen }
}

function isError(answer: RawAnswer, status: number, type: string, message: RegExp, row: string): void {
  const error = errorOf(answer)
  assert.deepEqual([error.status, error.type], [status, type], row)
  assert.match(error.message, message, row)
}

everywhere('whoever cannot be recognised gets a 403 that says why, and the agent never sees a byte', async (t) => {
  const { gateway, request, nothingSeen, installation } = await watched(t)
  const own = installation.env['AWS_ACCESS_KEY_ID']!
  const now = Date.now()
  const rows: [row: string, change: Partial<RawRequest>, message: RegExp][] = [
    ['unknown key', { keys: { accessKeyId: 'AKIAOTHER' } }, /AKIAOTHER is not one of this installation: source/],
    ['wrong secret', { keys: { secretAccessKey: 'guess' } }, /does not match/],
    ['left-over session token', { keys: { sessionToken: 'stale' } }, /unset AWS_SESSION_TOKEN/],
    ['region', { keys: { region: 'eu-west-3' } }, /eu-west-3.*us-east-1/],
    ['service', { keys: { service: 'bedrock' } }, /service bedrock.*bedrock-agentcore/],
    ['clock behind', { signingDate: new Date(now - 301_000) }, new RegExp(`${iso(now - 301_000)}.*here it is 20`)],
    ['clock ahead', { signingDate: new Date(now + 310_000) }, new RegExp(`${iso(now + 310_000)}.*here it is 20`)],
  ]
  for (const [row, change, message] of rows) isError(await gateway.send(request(change)), 403, 'AccessDeniedException', message, row)

  const unsigned = await gateway.send(request(), { headers: { authorization: undefined } })
  isError(unsigned, 403, 'AccessDeniedException', /not signed: sign it/, 'unsigned')
  const { authorization } = (await gateway.sign(request())) as { authorization: string }
  const bearer = await gateway.send(request(), { headers: { authorization: 'Bearer x' } })
  isError(bearer, 403, 'AccessDeniedException', /Authorization method mismatch.*Signature Version 4/, 'bearer')
  for (const malformed of [own, authorization.replace(/, Signature=.*/, ''), authorization.replace('aws4_request', 'aws5_request')]) {
    const answer = await gateway.send(request(), { headers: { authorization: malformed } })
    isError(answer, 403, 'AccessDeniedException', /not a complete AWS4-HMAC-SHA256/, malformed)
  }
  assert.ok(!(await installation.everyLog()).includes('guess'))
  await nothingSeen()
})

const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 16)

everywhere('what was changed after signing gets 403, and the agent never sees a byte', async (t) => {
  const { gateway, request, nothingSeen, arn } = await watched(t)
  const headers = { ...request().headers, 'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tenant': 'mine' }
  const rows: [row: string, RawRequest, change: Parameters<RawGateway['send']>[1], message: RegExp][] = [
    ['body', request(), { body: '{"do":"evil"}' }, /body is not the one that was signed/],
    ['body and its hash', request(), { body: '{"do":"evil"}', headers: { 'x-amz-content-sha256': 'a'.repeat(64) } }, /body is not the one/],
    [
      'session id',
      request(),
      { headers: { [SESSION_HEADER]: undefined, [SESSION_HEADER.toLowerCase()]: newSessionId() } },
      /does not match/,
    ],
    [
      'signed header changed',
      request({ headers }),
      {
        headers: {
          'x-amzn-bedrock-agentcore-runtime-custom-tenant': 'theirs',
          'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tenant': undefined,
        },
      },
      /does not match/,
    ],
    [
      'signed header removed',
      request({ headers }),
      {
        headers: {
          'x-amzn-bedrock-agentcore-runtime-custom-tenant': undefined,
          'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tenant': undefined,
        },
      },
      /which the request does not have/,
    ],
    [
      'header that must be signed added',
      request(),
      { headers: { 'x-amzn-bedrock-agentcore-runtime-custom-tenant': 'theirs' } },
      /must be signed/,
    ],
    ['query added', request(), { path: `${invocationPath(arn)}?qualifier=DEFAULT` }, /does not match/],
    ['another operation', request(), { path: invocationPath(arn, 'stopruntimesession') }, /does not match/],
    ['payload hash of nothing', request(), { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }, /sign the whole payload/],
  ]
  for (const [row, signed, change, message] of rows) isError(await gateway.send(signed, change), 403, 'AccessDeniedException', message, row)
  const { authorization, ...rest } = (await gateway.sign(request())) as { authorization: string; [name: string]: string }
  const [, names] = /SignedHeaders=([^,]+)/.exec(authorization)!
  const listed = authorization.replace(names!, `${names};x-added`)
  const added = await gateway.exchange('POST', invocationPath(arn), { ...rest, 'x-added': '1', authorization: listed }, request().body!)
  isError(added, 403, 'AccessDeniedException', /does not match/, 'header added that the signature lists')
  await nothingSeen()
})

everywhere('a target that is not here gets 404 that names it, a malformed one 400 that names the field', async (t) => {
  const { gateway, request, nothingSeen, arn } = await watched(t)
  const id = arn.slice(arn.indexOf('/') + 1)
  const gone: [path: string, query: Record<string, string>, message: RegExp][] = [
    [invocationPath(arn.replace(id, 'other-AbCdEfGhIj')), {}, /other-AbCdEfGhIj/],
    [invocationPath(arn), { qualifier: 'prod' }, /no endpoint prod/],
    [invocationPath(arn.replace(/:\d{12}:/, ':123456789012:')), {}, /123456789012/],
    [invocationPath(arn.replace('us-east-1', 'eu-west-3')), {}, /eu-west-3/],
    [invocationPath(id), { accountId: '123456789012' }, new RegExp(id)],
  ]
  for (const [path, query, message] of gone)
    isError(await gateway.send(request({ path, query })), 404, 'ResourceNotFoundException', message, path)

  const encoded = invocationPath(arn)
  const malformed: [path: string, field: string][] = [
    [invocationPath('arn:aws:bedrock-agentcore:us-east-1'), 'agentRuntimeArn'],
    [invocationPath(arn.replace(':runtime/', ':memory/')), 'agentRuntimeArn'],
    [invocationPath(arn.replace(/:\d{12}:/, ':12345:')), 'agentRuntimeArn'],
    [invocationPath(id), 'accountId'],
    ['/runtimes/../invocations', 'path'],
    ['/runtimes/%2e%2e/invocations', 'path'],
    [`/runtimes/x/../${encodeURIComponent(arn)}/invocations`, 'path'],
    [encoded.replace('%2F', '%252F'), 'path'],
    [encoded.replace('%2F', '%ZZ'), 'path'],
    [encoded.replace('%2F', '%0a'), 'path'],
  ]
  for (const [path, field] of malformed) {
    const error = errorOf(await gateway.send(request({ path })))
    assert.deepEqual(
      [error.status, error.type, error.reason, error.fields],
      [400, 'ValidationException', 'FieldValidationFailed', [field]],
      path,
    )
  }
  await nothingSeen()
})

everywhere('a session id of 32 or 257 characters or with control bytes gets 400 for runtimeSessionId; 33 and 256 are served', async (t) => {
  const { gateway, arn, request, nothingSeen } = await watched(t)
  const isRefused = (answer: RawAnswer, row: string): void => {
    const error = errorOf(answer)
    assert.deepEqual(
      [error.status, error.type, error.reason, error.fields],
      [400, 'ValidationException', 'FieldValidationFailed', ['runtimeSessionId']],
      row,
    )
  }
  for (const length of [1, 32, 257]) isRefused(await gateway.invoke(arn, 'x'.repeat(length), { do: 'boot' }), `${length} characters`)
  for (const operation of ['invocations', 'stopruntimesession']) {
    const path = invocationPath(arn, operation)
    for (const code of [0, 1, 9, 27, 127]) {
      const headers = { ...request().headers, [SESSION_HEADER]: `${'x'.repeat(20)}${String.fromCharCode(code)}${'x'.repeat(20)}` }
      const signed = await gateway.sign(request({ path, headers }))
      isRefused(await gateway.exchange('POST', path, signed, request().body!), `byte ${code} on ${operation}`)
    }
  }
  await nothingSeen()
  for (const length of [33, 256]) await gateway.ask(arn, 'x'.repeat(length), { do: 'boot' })
})

everywhere('a wrong method gets 405 with Allow, an unknown path 404, a stop of what does not run 404', async (t) => {
  const { gateway, arn, request, nothingSeen } = await watched(t)
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
    const answer = await gateway.send(request({ method }))
    isError(answer, 405, 'MethodNotAllowedException', /is POST, not/, method)
    assert.equal(answer.headers['allow'], 'POST')
  }
  for (const path of ['/', '/runtimes', invocationPath(arn, 'ws'), `${invocationPath(arn)}/more`]) {
    isError(await gateway.send(request({ path })), 404, 'UnknownOperationException', /no operation has the path/, path)
  }
  isError(await gateway.stop(arn, newSessionId()), 404, 'ResourceNotFoundException', /no live session/, 'stop of an unknown session')
  await nothingSeen()
  const other = newSessionId()
  await gateway.ask(arn, other, { do: 'boot' })
  assert.equal((await gateway.stop(arn, other)).status, 200)
  isError(await gateway.stop(arn, other), 404, 'ResourceNotFoundException', new RegExp(other), 'stop of an ended session')
})

everywhere('the JavaScript SDK raises its own exception classes, with message and request id', async (t) => {
  const { installation, arn, sessionId, nothingSeen } = await watched(t)
  const client = installation.client()
  const invoke = (change: object, by = client): ReturnType<typeof thrownBySdk> =>
    thrownBySdk(
      by.send(
        new InvokeAgentRuntimeCommand({
          agentRuntimeArn: arn,
          runtimeSessionId: sessionId,
          payload: Buffer.from('{"do":"boot"}'),
          ...change,
        }),
      ),
    )
  const otherClient = (change: object): BedrockAgentCoreClient =>
    new BedrockAgentCoreClient({
      region: 'us-east-1',
      endpoint: installation.env['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE']!,
      credentials: { accessKeyId: 'AKIAOTHER', secretAccessKey: 'other' },
      maxAttempts: 1,
      ...change,
    })
  const rows: [row: string, thrown: Awaited<ReturnType<typeof invoke>>, status: number, type: string, message: RegExp][] = [
    ['unknown key', await invoke({}, otherClient({})), 403, 'AccessDeniedException', /AKIAOTHER/],
    [
      'region',
      await invoke({}, otherClient({ region: 'eu-west-3', credentials: await client.config.credentials() })),
      403,
      'AccessDeniedException',
      /eu-west-3/,
    ],
    [
      'unknown runtime',
      await invoke({ agentRuntimeArn: arn.replace(/[^/]+$/, 'other-AbCdEfGhIj') }),
      404,
      'ResourceNotFoundException',
      /no agent runtime/,
    ],
    ['unknown endpoint', await invoke({ qualifier: 'prod' }), 404, 'ResourceNotFoundException', /prod/],
    ['short session id', await invoke({ runtimeSessionId: 'x'.repeat(32) }), 400, 'ValidationException', /33 to 256/],
    [
      'unknown session',
      await thrownBySdk(client.send(new StopRuntimeSessionCommand({ agentRuntimeArn: arn, runtimeSessionId: newSessionId() }))),
      404,
      'ResourceNotFoundException',
      /no live session/,
    ],
  ]
  for (const [row, thrown, status, type, message] of rows) {
    assert.deepEqual([thrown.status, thrown.type], [status, type], row)
    assert.match(thrown.message, message, row)
  }
  assert.deepEqual(rows[4]![1].fields, ['runtimeSessionId'])
  await nothingSeen()
})

everywhere('boto3 raises its own exception classes, with message and request id', async (t) => {
  const python = needs(t, 'CARREL_TEST_PYTHON')
  if (!python) return
  const { installation, arn, sessionId, nothingSeen } = await watched(t)
  const parameters = { agentRuntimeArn: arn, runtimeSessionId: sessionId, payload: '{"do":"boot"}' }
  const invoke = { operation: 'invoke_agent_runtime' }
  const rows: [call: object, class_: string, status: number, message: RegExp][] = [
    [
      { ...invoke, parameters, client: { aws_access_key_id: 'AKIAOTHER', aws_secret_access_key: 'x' } },
      'AccessDeniedException',
      403,
      /AKIAOTHER/,
    ],
    [{ ...invoke, parameters, client: { region_name: 'eu-west-3' } }, 'AccessDeniedException', 403, /eu-west-3.*us-east-1/],
    [{ ...invoke, parameters: { ...parameters, qualifier: 'prod' } }, 'ResourceNotFoundException', 404, /prod/],
    [
      { ...invoke, parameters: { ...parameters, agentRuntimeArn: arn.replace(/:\d{12}:/, ':123456789012:') } },
      'ResourceNotFoundException',
      404,
      /123456789012/,
    ],
    [{ ...invoke, parameters: { ...parameters, runtimeSessionId: 'x'.repeat(32) } }, 'ValidationException', 400, /33 to 256/],
    [
      { operation: 'stop_runtime_session', parameters: { agentRuntimeArn: arn, runtimeSessionId: newSessionId() } },
      'ResourceNotFoundException',
      404,
      /no live session/,
    ],
  ]
  const script = join(import.meta.dirname, 'boto', 'refusals.py')
  const raised = await installation.python<
    { class: string; code: string; message: string; status: number; requestId: string; reason: string | null; fields: string[] }[]
  >(python, script, JSON.stringify(rows.map(([call]) => call)))
  for (const [index, [call, class_, status, message]] of rows.entries()) {
    const error = raised[index]!
    assert.deepEqual([error.class, error.code, error.status], [class_, class_, status], JSON.stringify(call))
    assert.match(error.message, message)
    assert.match(error.requestId, /^[0-9a-f-]{36}$/)
  }
  assert.deepEqual([raised[4]!.reason, raised[4]!.fields], ['FieldValidationFailed', ['runtimeSessionId']])
  await nothingSeen()
})
