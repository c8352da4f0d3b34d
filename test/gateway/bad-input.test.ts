import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SESSION_HEADER, invocationPath, newSessionId, type RawRequest } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, RUNTIME_ID, serve } from './served.ts'

const PATH = invocationPath(ARN)
const request = (change: RawRequest | object = {}): RawRequest => ({
  path: PATH,
  headers: { [SESSION_HEADER]: newSessionId(), 'content-type': 'application/json' },
  body: '{"prompt":"hi"}',
  ...change,
})

test('wrong credentials get 403, and the agent is never reached', async (t) => {
  const { raw, reached } = await serve(t)
  const denied = async (change: object, after: Parameters<typeof raw.send>[1], message: RegExp): Promise<void> => {
    const error = errorOf(await raw.send(request(change), after))
    assert.deepEqual([error.status, error.type], [403, 'AccessDeniedException'])
    assert.match(error.message, message)
  }
  await denied({}, { headers: { authorization: undefined } }, /not signed/)
  await denied({ keys: { accessKeyId: 'AKIDOTHER' } }, {}, /AKIDOTHER/)
  await denied({ keys: { secretAccessKey: 'guess' } }, {}, /does not match/)
  await denied({ keys: { sessionToken: 'stale' } }, {}, /AWS_SESSION_TOKEN/)
  await denied({ keys: { region: 'eu-west-3' } }, {}, /eu-west-3.*us-east-1/)
  await denied({ keys: { service: 's3' } }, {}, /s3/)
  await denied({ signingDate: new Date(Date.now() - 6 * 60_000) }, {}, /clocks differ/)
  await denied({}, { body: '{"prompt":"ho"}' }, /body is not the one/)
  await denied({}, { headers: { 'x-amz-content-sha256': undefined }, body: '{"prompt":"ho"}' }, /covers the header x-amz-content-sha256/)
  await denied({}, { headers: { 'content-type': 'text/plain' } }, /does not match/)
  await denied({}, { path: `${PATH}?qualifier=DEFAULT` }, /does not match/)
  assert.equal(reached.length, 0)
})

test('of what is sent twice nobody chooses one: a second Authorization, date or payload hash is 400', async (t) => {
  const { raw, reached } = await serve(t)
  const good = await raw.sign(request())
  for (const name of ['authorization', 'x-amz-date', 'x-amz-content-sha256']) {
    const [, value] = Object.entries(good).find(([each]) => each.toLowerCase() === name)!
    const error = errorOf(await raw.exchange('POST', PATH, { ...good, [name.toUpperCase()]: value }, '{"prompt":"hi"}'))
    assert.deepEqual([error.status, error.type, error.fields], [400, 'ValidationException', [name]])
  }
  assert.equal(reached.length, 0)
})

test('what is not here gets 404 that names it', async (t) => {
  const { raw, reached } = await serve(t)
  const missing = async (path: string, query: Record<string, string>, message: RegExp): Promise<void> => {
    const error = errorOf(await raw.send(request({ path, query })))
    assert.deepEqual([error.status, error.type], [404, 'ResourceNotFoundException'])
    assert.match(error.message, message)
  }
  await missing(invocationPath(ARN.replace(RUNTIME_ID, 'other-AbCdEfGhIj')), {}, /other-AbCdEfGhIj/)
  await missing(PATH, { qualifier: 'prod' }, /no endpoint prod/)
  await missing(invocationPath(ARN.replace('000000000000', '123456789012')), {}, /123456789012.*000000000000/)
  await missing(invocationPath(ARN.replace('us-east-1', 'eu-west-3')), {}, /eu-west-3.*us-east-1/)
  await missing(invocationPath(RUNTIME_ID), { accountId: '123456789012' }, /000000000000/)
  const error = errorOf(await raw.stop(ARN, `ended-${newSessionId()}`))
  assert.deepEqual([error.status, error.type], [404, 'ResourceNotFoundException'])
  assert.equal(reached.length, 0)
})

test('malformed targets get 400 with reason and field', async (t) => {
  const { raw, reached } = await serve(t)
  const rows: [path: string, field: string][] = [
    ['/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1/invocations', 'agentRuntimeArn'],
    [invocationPath(ARN.replace('runtime/', 'memory/')), 'agentRuntimeArn'],
    [invocationPath(ARN.replace('000000000000', '1234')), 'agentRuntimeArn'],
    [invocationPath(`${ARN}/runtime-endpoint/x`), 'agentRuntimeArn'],
    [invocationPath(RUNTIME_ID), 'accountId'],
    [invocationPath('no-such.id'), 'accountId'],
    ['/runtimes/../invocations', 'path'],
    ['/runtimes/%2e%2E/invocations', 'path'],
    ['/runtimes//invocations', 'path'],
    [PATH.replace('%2F', '%252F'), 'path'],
    [PATH.replace('%2F', '%00%2F'), 'path'],
    [PATH.replace('%2F', '%zz'), 'path'],
    [`http://127.0.0.1${PATH}`, 'path'],
    [`${PATH}?qualifier=a&qualifier=b`, 'qualifier'],
    [`${PATH}?qualifier=-`, 'qualifier'],
  ]
  for (const [path, field] of rows) {
    const error = errorOf(await raw.send(request(), { path }))
    assert.deepEqual(
      [error.status, error.type, error.reason, error.fields],
      [400, 'ValidationException', 'FieldValidationFailed', [field]],
      path,
    )
  }
  assert.equal(reached.length, 0)
})

test('a session id that is too short, too long, doubled or holds control bytes gets 400 for runtimeSessionId', async (t) => {
  const { raw, reached } = await serve(t)
  const field = async (answer: Promise<{ status: number; headers: Record<string, string>; body: string }>): Promise<void> => {
    const error = errorOf(await answer)
    assert.deepEqual(
      [error.status, error.type, error.reason, error.fields],
      [400, 'ValidationException', 'FieldValidationFailed', ['runtimeSessionId']],
    )
  }
  for (const length of [1, 32, 257]) await field(raw.invoke(ARN, 'x'.repeat(length), {}))
  await field(raw.invoke(ARN, `${'x'.repeat(20)}\t${'x'.repeat(20)}`, {}))
  const good = await raw.sign(request())
  for (const byte of ['\x00', '\x01', '\x1b', '\x7f']) {
    await field(raw.exchange('POST', PATH, { ...good, [SESSION_HEADER]: `${'x'.repeat(20)}${byte}${'x'.repeat(20)}` }, '{"prompt":"hi"}'))
  }
  await field(raw.exchange('POST', PATH, { ...good, [SESSION_HEADER.toUpperCase()]: newSessionId() }, '{"prompt":"hi"}'))
  assert.equal(reached.length, 0)
  for (const length of [33, 256]) assert.equal((await raw.invoke(ARN, 'x'.repeat(length), {})).status, 200)
})

test('a wrong method gets 405 with Allow, an unknown path 404', async (t) => {
  const { raw } = await serve(t)
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'QUERY']) {
    const answer = await raw.send(request({ method }))
    assert.deepEqual(
      [errorOf(answer).status, errorOf(answer).type, answer.headers['allow']],
      [405, 'MethodNotAllowedException', 'POST'],
      method,
    )
  }
  for (const path of [
    '/',
    '/runtimes',
    '/runtimes/x',
    '/nowhere',
    '/runtimes/x/constructor',
    '/runtimes/x/__proto__',
    `${PATH}/more`,
    invocationPath(ARN, 'ws'),
    `${invocationPath(ARN, 'stopruntimesession')}/`,
  ]) {
    const error = errorOf(await raw.send(request(), { path }))
    assert.deepEqual([error.status, error.type], [404, 'UnknownOperationException'], path)
  }
})

test('what is no HTTP request gets 400 in the same form', async (t) => {
  const { raw, log } = await serve(t)
  const host = raw.url.host
  const malformed: Record<string, string>[] = [
    { 'content-length': 'x' },
    { 'bad header': '1' },
    { 'content-length': '2', 'transfer-encoding': 'chunked' },
  ]
  for (const faulty of malformed) {
    const headers = { host, ...faulty }
    assert.deepEqual(errorOf(await raw.exchange('POST', PATH, headers, '{}')).type, 'ValidationException')
  }
  const error = errorOf(await raw.exchange('POST', PATH, { host, 'x-large': 'x'.repeat(90_000) }, ''))
  assert.match(error.message, /80 KiB/)
  assert.deepEqual(
    log.filter(({ level }) => level === 'error'),
    [],
  )
})

test('web pages cannot drive it: another Host, two Hosts, none, or any Origin are refused', async (t) => {
  const { raw, reached } = await serve(t)
  const good = await raw.sign(request())
  const send = async (headers: Record<string, string>): Promise<number> =>
    errorOf(await raw.exchange('POST', PATH, headers, '{"prompt":"hi"}')).status
  assert.equal(await send({ ...good, host: 'rebound.example:8700' }), 403)
  assert.equal(await send({ ...good, HOST: raw.url.host }), 400)
  const { host: _, ...hostless } = good
  assert.equal(await send(hostless), 400)
  assert.equal(await send({ ...good, origin: `http://${raw.url.host}` }), 403)
  assert.equal(await send({ ...good, origin: 'null' }), 403)
  assert.equal(await send({ host: raw.url.host, 'content-type': 'text/plain' }), 403)
  assert.equal(reached.length, 0)
})

test('a bare id beside its account, a trailing slash and a missing session id are fine', async (t) => {
  const { raw, sessions } = await serve(t)
  assert.equal((await raw.send(request({ path: invocationPath(RUNTIME_ID), query: { accountId: '000000000000' } }))).status, 200)
  assert.equal((await raw.send(request({ path: `${PATH}/` }))).status, 200)
  const answer = await raw.send({ path: PATH, body: '{}' })
  assert.equal(answer.status, 200)
  assert.match(answer.headers[SESSION_HEADER.toLowerCase()]!, /^[0-9a-f-]{36}$/)
  assert.equal(sessions.entered.at(-1)!.sessionId, answer.headers[SESSION_HEADER.toLowerCase()])
  assert.deepEqual(sessions.entered.at(-1)!.caller.owner, { kind: 'kubernetes', issuer: 'kubernetes', subject: 'ada' })
})

test('a stop needs a session id and a small JSON body', async (t) => {
  const { raw, sessions } = await serve(t)
  const path = invocationPath(ARN, 'stopruntimesession')
  assert.deepEqual(errorOf(await raw.send({ path, body: '' })).fields, ['runtimeSessionId'])
  const stop = (body: string) => raw.send({ path, body, headers: { [SESSION_HEADER]: newSessionId() } })
  for (const body of ['[', 'null', '{"clientToken":7}', ' '.repeat(20_000)])
    assert.deepEqual(errorOf(await stop(body)).fields, ['clientToken'], body.slice(0, 9))
  assert.equal((await stop('{"clientToken":"t"}')).status, 200)
  assert.equal((await stop('')).status, 200)
  assert.deepEqual(
    sessions.stopped.map(({ clientToken }) => clientToken),
    ['t', undefined],
  )
})

test('the outcomes of entering are told as the contract has them', async (t) => {
  const { raw, sessions } = await serve(t)
  sessions.instead = () => ({ outcome: 'busy', retryAfterMs: 1_500 })
  const busy = await raw.send(request())
  assert.deepEqual(
    [busy.status, errorOf(busy).type, busy.headers['retry-after'], busy.headers['x-amz-retry-after']],
    [409, 'RetryableConflictException', '2', '1500'],
  )
  sessions.instead = () => ({ outcome: 'unavailable', retryAfterMs: 1_000 })
  const unavailable = await raw.send(request())
  assert.deepEqual(
    [unavailable.status, errorOf(unavailable).type, unavailable.headers['x-amz-retry-after']],
    [429, 'ThrottlingException', '1000'],
  )
  sessions.instead = () => ({
    outcome: 'failed',
    reason: 'StartFailed',
    message: 'the agent exited with code 3',
    lastLog: ['the model file is missing'],
  })
  const failed = errorOf(await raw.send(request()))
  assert.deepEqual([failed.status, failed.type], [424, 'RuntimeClientError'])
  assert.match(failed.message, /StartFailed: the agent exited with code 3[^]*the model file is missing/)
})

test('a caller who may not read logs does not see them', async (t) => {
  const { raw, sessions } = await serve(t, undefined, {
    rights: { may: async (_user, asked) => ({ answer: !('resource' in asked && asked.resource === 'pods'), stale: false }) },
  })
  sessions.instead = () => ({ outcome: 'failed', reason: 'StartFailed', message: 'the agent exited with code 3', lastLog: ['password=1'] })
  assert.doesNotMatch(errorOf(await raw.send(request())).message, /password/)
})

test('the access log tells each call, and no secret', async (t) => {
  const { raw, log } = await serve(t)
  await raw.send(request({ query: { qualifier: 'DEFAULT' } }))
  const line = log.find(({ message }) => message === 'call')!
  assert.deepEqual(
    [line['status'], line['user'], line['runtimeId'], line['endpoint'], line['bytesIn'], line['bytesOut']],
    [200, 'ada', RUNTIME_ID, 'DEFAULT', 15, 11],
  )
  assert.doesNotMatch(JSON.stringify(log), /Signature|a\+secret/)
})
