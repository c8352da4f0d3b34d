/** Tokens of service accounts: asked for, recognised, and dead with what they hang on. */
import assert from 'node:assert/strict'
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose'
import { tokenOf } from '../accounts.ts'
import { conformance, type Stage } from '../conformance.ts'
import { WORDS } from '../differences.ts'
import { pod } from '../objects.ts'
import type { Answer } from '../wire.ts'
import { eventually } from '../../kit/eventually.ts'

const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews'
const ISSUER = 'https://kubernetes.default.svc'

const review = (on: Stage, token: string, audiences?: string[]): Promise<Answer> =>
  on.call('POST', REVIEWS, { body: { spec: { token, ...(audiences ? { audiences } : {}) } } })

/** Tokens of which each is asked about once: a real server remembers for ten seconds that it found one good. */
const CANARIES = 25

async function canaries(on: Stage, account: string, spec: object): Promise<string[]> {
  const tokens: string[] = []
  for (let made = 0; made < CANARIES; made += 1) tokens.push(await tokenOf(on, account, spec))
  return tokens
}

/** At the latest when the server has heard of it. */
async function refused(on: Stage, [token = '', ...others]: string[], because: string): Promise<void> {
  const isRefused = async (): Promise<boolean> => {
    const { body } = await on.ask('POST', REVIEWS, { body: { spec: { token: others.pop() ?? token } } })
    return body.status.authenticated !== true
  }
  await eventually(isRefused, { withinMs: 30_000, everyMs: 40, because })
  const { body } = await review(on, token)
  assert.equal(body.status.authenticated, undefined, because)
}

conformance('a token is asked for', async (on) => {
  const path = on.at('serviceaccounts', 'default', 'token')
  await on.until(on.at('serviceaccounts', 'default'), ({ status }) => status === 200, 'it is there')
  const asked = async (spec: object, more: object = {}): Promise<void> => {
    const { status, body } = await on.ask('POST', path, {
      body: { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', ...more, spec },
    })
    if (status === 201) on.mask(body.status.token, '<token>')
    on.record(`token ${JSON.stringify(spec)}`, { status, body: body as object })
    if (status !== 201) return
    const claims = decodeJwt(body.status.token as string)
    const [exp, iat, nbf] = [claims.exp!, claims.iat!, claims.nbf!]
    on.record('claims', { ...claims, exp: exp - iat, iat: 0, nbf: nbf - iat })
    assert.ok(Math.abs(iat - Date.now() / 1000) < 60)
  }
  await asked({})
  await asked({ audiences: ['one', 'two'], expirationSeconds: 600 })
  await asked({ audiences: [] }, { metadata: { name: 'default' } })
  for (const spec of [{ expirationSeconds: 599 }, { expirationSeconds: 2 ** 32 + 1 }, { expirationSeconds: -1 }]) await asked(spec)
  await asked({}, { metadata: { name: 'other' } })
  await on.make(
    'pods',
    pod('p', ({ spec }) => Object.assign(spec, { serviceAccountName: 'default', nodeName: 'node-1' })),
  )
  await on.make('secrets', { metadata: { name: 's' } })
  const { uid } = (await on.ask('GET', on.at('pods', 'p'))).body.metadata
  for (const boundObjectRef of [
    { apiVersion: 'v1', kind: 'Pod', name: 'p', uid },
    { apiVersion: 'v1', kind: 'Pod', name: 'p' },
    { apiVersion: 'v1', kind: 'Secret', name: 's' },
    { apiVersion: 'v1', kind: 'Pod', name: 'none' },
    { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '11111111-1111-1111-1111-111111111111' },
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'x' },
  ])
    await asked({ audiences: ['x'], boundObjectRef })
  for (const wrong of [{ audiences: 'x' }, { expirationSeconds: 'x' }]) await on.call('POST', path, { body: { spec: wrong }, ...WORDS })
  await on.call('POST', on.at('serviceaccounts', 'none', 'token'), { body: { spec: {} } })
})

conformance('a token is recognised', async (on) => {
  const token = await tokenOf(on, 'a')
  await review(on, token)
  await review(on, token, [ISSUER, 'x'])
  await review(on, token, ['x'])
  await review(on, token, [])
  const other = await tokenOf(on, 'a', { audiences: ['one', 'two'], expirationSeconds: 600 })
  await review(on, other)
  await review(on, other, ['two', 'one', 'three'])
  const [head = '', body = '', signature = ''] = token.split('.')
  const altered = Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'system:serviceaccount:kube-system:a' })).toString('base64url')
  const unsigned = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
  const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  for (const [title, wrong] of [
    ['altered', `${head}.${altered}.${signature}`],
    ['another signature', `${head}.${body}.${flipped}`],
  ] as const) {
    on.mask(wrong, `<${title}>`)
    const { body: answer } = await review(on, wrong)
    assert.match(answer.status.error, /error in cryptographic primitive/, title)
  }
  for (const [title, wrong] of [
    ['no algorithm', `${unsigned}.${body}.`],
    ['no signature', `${head}.${body}`],
    ['nonsense', 'nonsense'],
  ] as const) {
    on.mask(wrong, `<${title}>`)
    const { body: answer } = await on.ask('POST', REVIEWS, { body: { spec: { token: wrong } } })
    on.record(title, answer.status, title === 'nonsense' ? {} : { ...WORDS, differsAt: ['error'] })
    assert.equal(answer.status.authenticated, undefined, title)
    assert.equal((await on.call('GET', on.at('pods'), { token: wrong })).status, 401)
  }
  on.mask(on.subject.access.token, '<token of the administrator>')
  await review(on, on.subject.access.token, ['x'])
  await review(on, on.subject.access.token)
})

conformance('a token dies with its account, and with what it is bound to', async (on) => {
  await on.make('secrets', { metadata: { name: 's' } })
  await tokenOf(on, 'a')
  await on.make(
    'pods',
    pod('p', ({ spec }) => Object.assign(spec, { serviceAccountName: 'a' })),
  )
  const tokens = await canaries(on, 'a', {})
  const bound = await canaries(on, 'a', { boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 's' } })
  const ofPod = await canaries(on, 'a', { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' } })
  for (const each of [tokens, bound, ofPod]) assert.equal((await review(on, each.pop()!)).body.status.authenticated, true)
  await on.ask('DELETE', on.at('secrets', 's'))
  await on.ask('DELETE', on.at('pods', 'p'))
  await refused(on, bound, 'its secret is gone')
  await refused(on, ofPod, 'its pod is gone')
  await on.ask('DELETE', on.at('serviceaccounts', 'a'))
  await refused(on, tokens, 'its account is gone')
  assert.equal((await on.call('GET', on.at('pods'), { token: tokens[0]! })).status, 401)
  const successor = await tokenOf(on, 'a')
  await refused(on, tokens, 'the account of that name is another one')
  assert.equal((await on.call('GET', on.at('pods'), { token: successor })).status, 403)
})

conformance('anybody checks a token by the keys that the server shows', async (on) => {
  const { status, headers, body } = await on.ask('GET', '/.well-known/openid-configuration')
  const { jwks_uri: uri, id_token_signing_alg_values_supported: algorithms, ...discovery } = body
  on.record('discovery', { status, type: headers['content-type'], ...discovery })
  on.record('algorithms', { algorithms: algorithms as string[] }, { differs: 'tokens-are-es256' })
  assert.match(uri, /^https:\/\/[^/]+\/openid\/v1\/jwks$/)
  const accept = '*/*'
  const keys = await on.ask('GET', '/openid/v1/jwks', { accept })
  on.record('keys', { status: keys.status, type: keys.headers['content-type'] })
  for (const type of ['application/jwk-set+json', 'application/json']) {
    const { status: got, headers: head } = await on.ask('GET', '/openid/v1/jwks', { accept: type })
    on.record(`keys as ${type}`, { status: got, type: head['content-type'] })
  }
  const token = await tokenOf(on, 'a')
  assert.equal((await on.ask('GET', '/openid/v1/jwks', { token, accept })).status, 200, 'service accounts may look')
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(JSON.parse(keys.body as string) as JSONWebKeySet), {
    issuer: ISSUER,
    audience: ISSUER,
  })
  assert.equal(payload.sub, `system:serviceaccount:${on.namespace}:a`)
  assert.ok(algorithms.includes(protectedHeader.alg))
})
