import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Sha256 } from '@aws-crypto/sha256-js'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'
import fc from 'fast-check'
import { accessKeyOf } from '../../src/gateway/auth/access-keys.ts'
import { readClaim, verify } from '../../src/gateway/auth/sigv4.ts'
import { GatewayError } from '../../src/gateway/errors.ts'
import { Headers } from '../../src/gateway/http/headers-in.ts'
import { SigningKeys, canonicalHeader, canonicalRequest } from '../../src/sigv4/canonical.ts'
import { signed } from '../../src/sigv4/sign.ts'
import { KEY, SCOPE } from './served.ts'

const NOW = new Date('2026-11-24T10:00:00Z')
const KEYS = { find: (id: string) => (id === KEY.accessKeyId ? KEY : undefined) }
const SIGNING_KEYS = new SigningKeys()
const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex')

interface Wire {
  method: string
  rawPath: string
  rawQuery: string
  headers: Record<string, string>
  body: string
}

/** As the JavaScript SDK signs it. */
async function signedByAws(wire: Wire, query: Record<string, string | string[]>): Promise<Wire> {
  const signer = new SignatureV4({ service: 'bedrock-agentcore', region: SCOPE.region, credentials: KEY, sha256: Sha256 })
  const { method, rawPath: path, headers, body } = wire
  const request = await signer.sign(new HttpRequest({ method, protocol: 'http:', hostname: 'h', path, query, headers, body }), {
    signingDate: NOW,
  })
  return { ...wire, headers: request.headers }
}

function check({ method, rawPath, rawQuery, headers, body }: Wire, nowMs = NOW.getTime()): string {
  const received = new Headers(Object.entries(headers).flat())
  const claim = readClaim(received, rawQuery, KEYS, SCOPE, nowMs)
  return verify(claim, { method, rawPath, rawQuery, headers: received, bodySha256: sha256(body) }, SCOPE, SIGNING_KEYS).name
}

function refusal(wire: Wire, nowMs?: number): string {
  try {
    check(wire, nowMs)
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error))
    assert.equal(error.type, 'AccessDeniedException')
    return error.message
  }
  return assert.fail('it was let in')
}

/** An identical percent-encoding to the SDKs', so that the query goes out as it was signed. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const printable = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/)
const wires = fc.record({
  segment: fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }).filter((text) => !/^\.+$/.test(text)),
  query: fc.dictionary(
    // The SDK's signer keeps the query in an object, and loses a parameter of the name __proto__.
    fc.string({ minLength: 1, maxLength: 10 }).filter((name) => !/^x-amz-/i.test(name) && name !== '__proto__'),
    fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 2, maxLength: 3 })),
    { maxKeys: 4, noNullPrototype: true },
  ),
  headers: fc.dictionary(
    fc.stringMatching(/^x-[a-z][a-z0-9-]{0,15}$/).filter((name) => !name.startsWith('x-amz')),
    printable,
    { maxKeys: 5, noNullPrototype: true },
  ),
  body: fc.string({ unit: 'binary' }),
})

test('whatever the SDK signs is let in; changed in any one part afterwards, it is not', async () => {
  await fc.assert(
    fc.asyncProperty(wires, fc.nat(), async ({ segment, query, headers, body }, choice) => {
      const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => `${encode(name)}=${encode(one)}`))
      const wire = {
        method: 'POST',
        rawPath: `/runtimes/${encode(segment)}/invocations`,
        rawQuery: pairs.join('&'),
        headers: { host: 'h', ...headers },
        body,
      }
      const whole = await signedByAws(wire, query)
      assert.equal(check(whole), 'ada')

      const signedNames = /SignedHeaders=([^,]+)/.exec(whole.headers['authorization']!)![1]!.split(';')
      const name = signedNames[choice % signedNames.length]!
      const changes: Wire[] = [
        { ...whole, method: 'PUT' },
        { ...whole, rawPath: `${whole.rawPath}/` },
        { ...whole, rawQuery: `${whole.rawQuery}${whole.rawQuery ? '&' : ''}added=1` },
        { ...whole, body: `${body}.` },
        { ...whole, headers: { ...whole.headers, [name]: `${whole.headers[name]}1` } },
        { ...whole, headers: Object.fromEntries(Object.entries(whole.headers).filter(([one]) => one !== name)) },
      ]
      refusal(changes[choice % changes.length]!)
    }),
    { numRuns: 150 },
  )
})

test("our own signer's requests are let in too", () => {
  const url = new URL('http://127.0.0.1:8700/runtimes/arn%3Aaws%3Ax%2Fid/invocations?qualifier=DEFAULT&accountId=1')
  const headers = signed({ method: 'POST', url, headers: { 'Content-Type': 'application/json' }, body: '{}' }, KEY, {
    region: SCOPE.region,
    nowMs: NOW.getTime(),
  })
  assert.equal(check({ method: 'POST', rawPath: url.pathname, rawQuery: url.search.slice(1), headers, body: '{}' }), 'ada')
})

test('the path is encoded a second time, the query is sorted by bytes, white space in headers is folded', () => {
  const text = canonicalRequest({
    method: 'POST',
    rawPath: '/runtimes/arn%3Aaws%2Fid/invocations',
    rawQuery: 'b=2&a=3&B=1&a=10&c',
    headers: new Map([
      ['x-b', canonicalHeader(['  two \t words ', 'more'])],
      ['host', 'h'],
    ]),
    payloadHash: 'HASH',
  })
  assert.deepEqual(text.split('\n'), [
    'POST',
    '/runtimes/arn%253Aaws%252Fid/invocations',
    'B=1&a=10&a=3&b=2&c=',
    'host:h',
    'x-b:two words,more',
    '',
    'host;x-b',
    'HASH',
  ])
})

test('each refusal says what is wrong, and of region and clock both sides', async () => {
  const wire = { method: 'POST', rawPath: '/runtimes/a/invocations', rawQuery: '', headers: { host: 'h' }, body: '' }
  const whole = await signedByAws(wire, {})
  const authorization = whole.headers['authorization']!
  const withHeaders = (headers: Record<string, string>): Wire => ({ ...whole, headers: { ...whole.headers, ...headers } })
  const { authorization: _, ...unsigned } = whole.headers
  assert.match(refusal({ ...whole, headers: unsigned }), /not signed/)
  assert.match(refusal(withHeaders({ authorization: 'Bearer x' })), /not a complete AWS4-HMAC-SHA256/)
  assert.match(
    refusal(withHeaders({ authorization: authorization.replace('AKIDEXAMPLE', 'AKIDOTHER') })),
    /AKIDOTHER is not one of this installation/,
  )
  assert.match(refusal(withHeaders({ authorization: authorization.replace('us-east-1', 'eu-west-3') })), /region eu-west-3.*us-east-1/)
  assert.match(
    refusal(withHeaders({ authorization: authorization.replace('/bedrock-agentcore/', '/s3/') })),
    /service s3.*bedrock-agentcore/,
  )
  assert.match(refusal(withHeaders({ authorization: authorization.replace(/Signature=..../, 'Signature=0000') })), /does not match/)
  assert.match(refusal(withHeaders({ 'x-amz-security-token': 'stale' })), /unset AWS_SESSION_TOKEN/)
  assert.match(refusal(withHeaders({ 'x-amz-extra': '1' })), /x-amz-extra must be signed/)
  assert.match(refusal(withHeaders({ 'x-amzn-bedrock-agentcore-runtime-session-id': 'x'.repeat(33) })), /session-id must be signed/)
  assert.match(
    refusal(withHeaders({ authorization: authorization.replace('SignedHeaders=host;', 'SignedHeaders=') })),
    /Host header must be signed/,
  )
  assert.match(refusal(withHeaders({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' })), /UNSIGNED-PAYLOAD.*sign the whole payload/)
  assert.match(refusal(withHeaders({ 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' })), /sign the whole payload/)
  assert.match(refusal({ ...whole, rawQuery: 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00' }), /presigned/)
  assert.match(refusal(whole, NOW.getTime() + 301_000), /signed at 2026-11-24T10:00:00.000Z, here it is 2026-11-24T10:05:01.000Z/)
  assert.match(refusal(whole, NOW.getTime() - 301_000), /more than 5 minutes/)
  assert.equal(check(whole, NOW.getTime() + 299_000), 'ada')
  assert.match(refusal(withHeaders({ 'x-amz-date': '20261125T100000Z' })), /not of the day/)
})

test('headers that proxies add or change on the way need not be signed', async () => {
  const wire = { method: 'POST', rawPath: '/runtimes/a/invocations', rawQuery: '', headers: { host: 'h' }, body: '' }
  const whole = await signedByAws(wire, {})
  assert.equal(check({ ...whole, headers: { ...whole.headers, 'x-amzn-trace-id': 'Root=1', 'user-agent': 'curl' } }), 'ada')
})

test('only a complete Secret of the right type, for a user who is not system:, is a key', () => {
  const secret = (fields: Record<string, string>, type = 'carrel.dev/access-key') => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    type,
    data: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
  })
  const { groups, ...fields } = KEY
  assert.deepEqual(accessKeyOf(secret(fields)), { ...fields, groups })
  assert.deepEqual(accessKeyOf(secret({ ...fields, groups: 'sales, support,' }))!.groups, ['sales', 'support'])
  assert.equal(accessKeyOf(secret({ ...fields, notAfter: '2026-01-02T03:04:05Z' }))!.notAfterMs, Date.UTC(2026, 0, 2, 3, 4, 5))
  assert.equal(accessKeyOf(secret({ ...fields, notAfter: 'never' })), undefined)
  assert.equal(accessKeyOf(secret(fields, 'Opaque')), undefined)
  assert.equal(accessKeyOf(secret({ ...fields, user: 'system:admin' })), undefined)
  assert.equal(accessKeyOf(secret({ ...fields, groups: 'sales,system:masters' })), undefined)
  assert.equal(accessKeyOf(secret({ ...fields, user: '' })), undefined)
  assert.equal(accessKeyOf(secret({ accessKeyId: 'x', user: 'u' })), undefined)
})
