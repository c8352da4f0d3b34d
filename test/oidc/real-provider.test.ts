/** Against a certified implementation of OpenID Connect, over HTTPS. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import { systemClock } from '../../src/env/system.ts'
import { Authorizers } from '../../src/oidc/authorizers.ts'
import { guardedFetch } from '../../src/oidc/guarded-fetch.ts'
import { RealProvider } from '../kit/identity-provider.ts'

const RESOURCE = 'urn:carrel:agents'
const SCOPES = ['agents:invoke', 'agents:read']

let provider: RealProvider
let documents: ReturnType<typeof guardedFetch>
let authorizers: Authorizers

before(async () => {
  provider = await RealProvider.start({ scopes: SCOPES })
  documents = guardedFetch({ oidcTrustedIssuers: [provider.issuer], oidcTrustedCidrs: [], oidcCaFile: provider.caFile })
  authorizers = new Authorizers({ clock: systemClock, fetchDocument: documents.fetchDocument })
})
after(async () => {
  authorizers.close()
  await documents.close()
  await provider.stop()
})

function authorizer(conditions: Partial<CustomJWT>): CustomJWT {
  return { discoveryUrl: provider.discoveryUrl, ...conditions }
}

test('its provider can be asked', async () => {
  assert.deepEqual(await authorizers.checkProvider(authorizer({ allowedAudience: [RESOURCE] })), { ok: true })
})

test('its access token opens by audience, client and scope, and is refused where one of them is not right', async () => {
  const token = await provider.clientToken('agents:invoke', RESOURCE)
  const all = { allowedAudience: [RESOURCE], allowedClients: [provider.clientId], allowedScopes: ['agents:invoke'] }
  const verdict = await authorizers.authorize(authorizer(all), token)
  assert.ok('allowed' in verdict && verdict.allowed, JSON.stringify(verdict))
  assert.deepEqual([verdict.issuer, verdict.subject], [provider.issuer, provider.clientId])
  for (const wrong of [{ allowedAudience: ['urn:else'] }, { allowedClients: ['else'] }, { allowedScopes: ['agents:read'] }]) {
    const refused = await authorizers.authorize(authorizer({ ...all, ...wrong }), token)
    assert.ok('allowed' in refused && !refused.allowed, JSON.stringify(wrong))
  }
})

test('a token whose payload was changed on the way is refused', async () => {
  const token = await provider.clientToken('agents:read', RESOURCE)
  const [head, payload, signature] = token.split('.')
  const claims: object = JSON.parse(Buffer.from(payload!, 'base64url').toString())
  const forged = [head, Buffer.from(JSON.stringify({ ...claims, scope: 'agents:invoke' })).toString('base64url'), signature].join('.')
  assert.deepEqual(await authorizers.authorize(authorizer({ allowedScopes: ['agents:invoke'] }), forged), {
    allowed: false,
    error: 'invalid_token',
    description: 'the signature of the token is wrong',
  })
})
