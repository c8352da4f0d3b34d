import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { SignJWT, UnsecuredJWT, base64url, exportSPKI, generateKeyPair, type JWTPayload } from 'jose'
import { Authorizers } from '../../src/oidc/authorizers.ts'
import { ISSUER, SimulatedProvider } from './simulated-provider.ts'

let provider: SimulatedProvider
let authorizers: Authorizers

before(async () => {
  provider = await SimulatedProvider.make()
  for (const algorithm of ['RS256', 'PS384', 'ES512', 'EdDSA']) await provider.addKey(algorithm, algorithm)
  await provider.addKey('of-encryption', 'ES256', { use: 'enc' })
  await provider.addKey('of-another-algorithm', 'ES256', { alg: 'ES384' })
  await provider.addKey('not-published')
  provider.published = provider.published.filter((kid) => kid !== 'not-published')
  authorizers = new Authorizers(provider.env)
})

async function refusal(token: string): Promise<string> {
  const verdict = await authorizers.authorize(provider.authorizer(), token)
  assert.ok('allowed' in verdict && !verdict.allowed, JSON.stringify(verdict))
  assert.equal(verdict.error, 'invalid_token')
  return verdict.description
}

for (const kid of ['first', 'RS256', 'PS384', 'ES512', 'EdDSA']) {
  test(`a good token opens, signed with the key ${kid}`, async () => {
    const verdict = await authorizers.authorize(provider.authorizer(), await provider.token({ sub: 'ada' }, { kid }))
    assert.deepEqual(verdict, { allowed: true, issuer: ISSUER, subject: 'ada', expiresAtMs: provider.seconds(600) * 1000 })
  })
}

const CLAIMS: [string, () => JWTPayload, string][] = [
  ['expired', () => ({ exp: provider.seconds(-61) }), 'the token has expired'],
  ['without an expiry', () => ({ exp: undefined }), 'the token lacks a claim that it must have'],
  ['with an expiry in words', () => ({ exp: 'never' as unknown as number }), 'the token lacks a claim that it must have'],
  ['not valid before a time to come', () => ({ nbf: provider.seconds(61) }), 'the token is not valid yet'],
  ['issued in the future', () => ({ iat: provider.seconds(61) }), 'the token is not valid yet'],
  ['of another issuer', () => ({ iss: 'https://else.example.com' }), 'the token is of another issuer'],
  ['of an issuer with a slash more', () => ({ iss: `${ISSUER}/` }), 'the token is of another issuer'],
  ['without an issuer', () => ({ iss: undefined }), 'the token is of another issuer'],
  ['for another audience', () => ({ aud: 'agents2' }), 'the token is for another audience'],
  ['without an audience', () => ({ aud: undefined }), 'the token is for another audience'],
  ['without a subject', () => ({ sub: undefined }), 'the token lacks a claim that it must have'],
  ['with an empty subject', () => ({ sub: '' }), 'the token has no usable subject'],
  ['with a number for a subject', () => ({ sub: 7 as unknown as string }), 'the token has no usable subject'],
  ['with a list for a subject', () => ({ sub: ['a'] as unknown as string }), 'the token has no usable subject'],
  ['with a subject of 1025 characters', () => ({ sub: 's'.repeat(1025) }), 'the token has no usable subject'],
  ['with half a character in the subject', () => ({ sub: 'a\ud800' }), 'the token has no usable subject'],
]
for (const [title, claims, description] of CLAIMS) {
  test(`a token is refused: ${title}`, async () => assert.equal(await refusal(await provider.token(claims())), description))
}

test('clocks may differ by a minute', async () => {
  for (const claims of [{ exp: provider.seconds(-59) }, { nbf: provider.seconds(59) }, { iat: provider.seconds(59) }]) {
    const verdict = await authorizers.authorize(provider.authorizer(), await provider.token(claims))
    assert.ok('allowed' in verdict && verdict.allowed, JSON.stringify(claims))
  }
})

const UNKNOWN_KEY = 'the token is signed with a key that is not known'
const WRONG_ALGORITHM = 'the token is signed by an algorithm that is not allowed'
const claims = (): JWTPayload => ({ iss: ISSUER, sub: 'someone', aud: 'agents', iat: provider.seconds(0), exp: provider.seconds(600) })
const header = (fields: object): string => base64url.encode(JSON.stringify(fields))
const good = (): Promise<string> => provider.token()

/** A token with another header, and the signature that the first one had. */
async function withHeader(fields: object): Promise<string> {
  return [header(fields), ...(await good()).split('.').slice(1)].join('.')
}

const FORGED: [string, () => Promise<string>, string][] = [
  ['a wrong signature', async () => (await good()).replace(/\.[^.]{4}([^.]*)$/, '.AAAA$1'), 'the signature of the token is wrong'],
  ['another payload under the signature', async () => swapPayload(await good()), 'the signature of the token is wrong'],
  ['alg none', async () => new UnsecuredJWT(claims()).encode(), WRONG_ALGORITHM],
  ['alg none with a kid', () => withHeader({ alg: 'none', kid: 'first' }), WRONG_ALGORITHM],
  ['alg None', () => withHeader({ alg: 'None', kid: 'first' }), WRONG_ALGORITHM],
  ['HS256 with the public key as the secret', hs256, WRONG_ALGORITHM],
  ['no alg', () => withHeader({ kid: 'first' }), WRONG_ALGORITHM],
  ['no kid', async () => provider.token({}, { header: { kid: undefined } }), 'the token names no key'],
  ['an empty kid', async () => provider.token({}, { header: { kid: '' } }), 'the token names no key'],
  ['a number for a kid', () => withHeader({ alg: 'ES256', kid: 7 }), 'the token names no key'],
  ['an unknown kid', async () => provider.token({}, { header: { kid: 'else' } }), UNKNOWN_KEY],
  ['the kid of what every object has', async () => provider.token({}, { header: { kid: '__proto__' } }), UNKNOWN_KEY],
  ['a key that is not published', async () => provider.token({}, { kid: 'not-published' }), UNKNOWN_KEY],
  [
    "a thief's key under a published kid",
    async () => provider.token({}, { kid: 'not-published', header: { kid: 'first' } }),
    'the signature of the token is wrong',
  ],
  ['a key for encryption', async () => provider.token({}, { kid: 'of-encryption' }), UNKNOWN_KEY],
  ['a key of another algorithm', async () => provider.token({}, { kid: 'of-another-algorithm' }), UNKNOWN_KEY],
  ['the kid of a key of another type', async () => provider.token({}, { header: { kid: 'RS256' } }), UNKNOWN_KEY],
  ['a key that it brings along', broughtAlong, 'the signature of the token is wrong'],
  [
    'a critical extension',
    () => withHeader({ alg: 'ES256', kid: 'first', crit: ['x'], x: 1 }),
    'the token has critical extensions that are not known',
  ],
  [
    'a payload that is not encoded',
    () => withHeader({ alg: 'ES256', kid: 'first', b64: false, crit: ['b64'] }),
    'the token has critical extensions that are not known',
  ],
  ['64 KB', async () => provider.token({ x: 'x'.repeat(64 * 1024) }), 'the token is too long'],
  [
    'five parts, as an encrypted one',
    async () => `${header({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: 'first' })}.a.b.c.d`,
    'the token is malformed',
  ],
  ['a token within a token', nested, 'the token is malformed'],
  ['a list for a payload', () => signed('[]'), 'the token is malformed'],
  ['words for a payload', () => signed('hello'), 'the token is malformed'],
  ['two parts', async () => (await good()).split('.').slice(0, 2).join('.'), 'the token is malformed'],
  ['a header that is no JSON', async () => `eA.${(await good()).split('.').slice(1).join('.')}`, 'the token is malformed'],
  ['nothing', async () => '', 'the token is malformed'],
  ['two dots', async () => '..', 'the token is malformed'],
  ['a logout token', async () => provider.token({}, { header: { typ: 'logout+jwt' } }), 'the token is no access token'],
]
for (const [title, make, description] of FORGED) {
  test(`a token is refused: ${title}`, async () => assert.equal(await refusal(await make()), description))
}

test('any other type is taken', async () => {
  for (const typ of ['JWT', 'at+jwt', 'application/at+jwt', 'odd']) {
    const verdict = await authorizers.authorize(provider.authorizer(), await provider.token({}, { header: { typ } }))
    assert.ok('allowed' in verdict && verdict.allowed, typ)
  }
})

test('an RSA key of 1024 bits verifies nothing', async () => {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    true,
    ['sign', 'verify'],
  )
  const small = await SimulatedProvider.make()
  small.documents.set(`${ISSUER}/keys`, {
    keys: [{ ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'small', use: 'sig', key_ops: undefined }],
  })
  const input = `${header({ alg: 'RS256', kid: 'small' })}.${base64url.encode(JSON.stringify(claims()))}`
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, Buffer.from(input))
  const verdict = await new Authorizers(small.env).authorize(small.authorizer(), `${input}.${base64url.encode(new Uint8Array(signature))}`)
  assert.deepEqual(verdict, { allowed: false, error: 'invalid_token', description: 'the token is malformed' })
})

test('two keys of one kid verify nothing: which one is meant, nobody knows', async () => {
  const twins = await SimulatedProvider.make()
  await twins.addKey('second')
  twins.documents.set(`${ISSUER}/keys`, { keys: [twins.jwkOf('first'), { ...twins.jwkOf('second'), kid: 'first' }] })
  const verdict = await new Authorizers(twins.env).authorize(twins.authorizer(), await twins.token())
  assert.deepEqual(verdict, { allowed: false, error: 'invalid_token', description: UNKNOWN_KEY })
})

test('no refusal tells a value that was wanted, or that was sent', async () => {
  const authorizer = provider.authorizer({ allowedAudience: ['secret-audience'], allowedScopes: ['secret-scope'] })
  for (const sent of [{ aud: 'sent-audience' }, { aud: 'secret-audience', scope: 'sent-scope' }, { iss: 'https://sent.example.com' }]) {
    assert.doesNotMatch(JSON.stringify(await authorizers.authorize(authorizer, await provider.token(sent))), /secret|sent|example/)
  }
})

function swapPayload(token: string): string {
  const [head, , signature] = token.split('.')
  return [head, base64url.encode(JSON.stringify({ ...claims(), sub: 'admin' })), signature].join('.')
}

async function hs256(): Promise<string> {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true })
  return new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'RS256' }).sign(Buffer.from(await exportSPKI(publicKey)))
}

async function broughtAlong(): Promise<string> {
  const jwk = provider.jwkOf('not-published')
  return provider.token(
    {},
    { kid: 'not-published', header: { kid: 'first', jwk, jku: 'https://thief.example.com/keys', x5u: 'https://thief.example.com' } },
  )
}

async function signed(payload: string): Promise<string> {
  const input = `${header({ alg: 'ES256', kid: 'first' })}.${base64url.encode(payload)}`
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, provider.keyOf('first'), Buffer.from(input))
  return `${input}.${base64url.encode(new Uint8Array(signature))}`
}

async function nested(): Promise<string> {
  return signed(await good())
}
