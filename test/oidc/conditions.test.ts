import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JWTPayload } from 'jose'
import type { CustomClaim, CustomJWT } from '../../src/crds/authorizer.ts'
import { Authorizers } from '../../src/oidc/authorizers.ts'
import { refusalBy } from '../../src/oidc/conditions.ts'
import { SimulatedProvider } from './simulated-provider.ts'

/** The claims of access tokens as these providers write them, and what each must be opened and refused by. */
const SHAPES: { name: string; issuer: string; claims: JWTPayload; opens: Partial<CustomJWT>[]; refuses: Partial<CustomJWT>[] }[] = [
  {
    name: 'Cognito: client_id, no aud',
    issuer: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example',
    claims: {
      sub: '5f0c2b1e-0000-4000-8000-000000000000',
      client_id: '1example23456789',
      token_use: 'access',
      scope: 'aws.cognito.signin.user.admin agents/invoke',
      'cognito:groups': ['admins', 'readers'],
      username: 'ada',
      version: 2,
      aud: undefined,
    },
    opens: [
      { allowedClients: ['else', '1example23456789'] },
      { allowedClients: ['1example23456789'], allowedScopes: ['agents/invoke'] },
      { customClaims: [claim('cognito:groups', 'STRING_ARRAY', 'CONTAINS', 'admins'), claim('token_use', 'STRING', 'EQUALS', 'access')] },
    ],
    refuses: [
      { allowedAudience: ['1example23456789'] },
      { allowedAudience: ['agents'], allowedClients: ['1example23456789'] },
      { allowedClients: ['1example'] },
      { allowedScopes: ['agents'] },
      { customClaims: [claim('token_use', 'STRING', 'EQUALS', 'id')] },
    ],
  },
  {
    name: 'Okta: cid, scp as a list, aud as a string',
    issuer: 'https://example.okta.com/oauth2/default',
    claims: {
      ver: 1,
      jti: 'AT.x',
      sub: 'ada@example.com',
      aud: 'api://default',
      cid: '0oaexample',
      uid: '00uexample',
      scp: ['openid', 'agents.invoke'],
    },
    opens: [{ allowedAudience: ['api://default'], allowedClients: ['0oaexample'], allowedScopes: ['agents.invoke'] }],
    refuses: [{ allowedClients: ['00uexample'] }, { allowedScopes: ['agents'] }, { allowedAudience: ['api://default/'] }],
  },
  {
    name: 'Entra v1: appid, an issuer that ends with a slash',
    issuer: 'https://sts.windows.net/00000000-0000-4000-8000-000000000001/',
    claims: {
      ver: '1.0',
      sub: 'AbCdEf',
      oid: 'o',
      tid: 't',
      aud: 'api://agents',
      appid: 'app-1',
      appidacr: '1',
      scp: 'Agents.Invoke User.Read',
      roles: ['Caller'],
    },
    opens: [
      { allowedAudience: ['api://agents'], allowedClients: ['app-1'], allowedScopes: ['Agents.Invoke'] },
      { customClaims: [claim('roles', 'STRING_ARRAY', 'CONTAINS_ANY', ['Admin', 'Caller'])] },
    ],
    refuses: [
      { allowedClients: ['app-2'] },
      { allowedScopes: ['agents.invoke'] },
      { customClaims: [claim('roles', 'STRING_ARRAY', 'CONTAINS_ANY', ['Admin'])] },
    ],
  },
  {
    name: 'Entra v2: azp, scp as words',
    issuer: 'https://login.microsoftonline.com/00000000-0000-4000-8000-000000000001/v2.0',
    claims: {
      ver: '2.0',
      sub: 'AbCdEf',
      oid: 'o',
      tid: 't',
      aud: '6e74172b-0000-4000-8000-000000000000',
      azp: 'app-1',
      azpacr: '1',
      scp: 'Agents.Invoke',
    },
    opens: [{ allowedAudience: ['6e74172b-0000-4000-8000-000000000000'], allowedClients: ['app-1'], allowedScopes: ['Agents.Invoke'] }],
    refuses: [{ allowedClients: ['6e74172b-0000-4000-8000-000000000000'] }],
  },
]

for (const { name, issuer, claims, opens, refuses } of SHAPES) {
  test(`the tokens of ${name}`, async () => {
    const provider = await SimulatedProvider.make(issuer)
    const authorizers = new Authorizers(provider.env)
    const token = await provider.token(claims)
    for (const conditions of opens) {
      const verdict = await authorizers.authorize(provider.authorizer(conditions), token)
      assert.ok('allowed' in verdict && verdict.allowed, `${JSON.stringify(conditions)}: ${JSON.stringify(verdict)}`)
      assert.deepEqual([verdict.issuer, verdict.subject], [issuer, claims.sub])
    }
    for (const conditions of refuses) {
      const verdict = await authorizers.authorize(provider.authorizer(conditions), token)
      assert.ok('allowed' in verdict && !verdict.allowed, JSON.stringify(conditions))
    }
  })
}

const DISCOVERY_URL = 'https://idp.example.com/.well-known/openid-configuration'

/** Whether one condition lets these claims through. */
function passes(conditions: Partial<CustomJWT>, claims: object): boolean {
  return refusalBy({ discoveryUrl: DISCOVERY_URL, ...conditions }, claims as JWTPayload) === undefined
}

test('an authorizer without a condition lets nobody through', () => {
  assert.equal(passes({}, { aud: 'agents' }), false)
  assert.equal(passes({ allowedAudience: [] }, { aud: 'agents' }), false)
})

test('all conditions that are set must hold: each one that fails refuses', () => {
  const conditions: Partial<CustomJWT> = {
    allowedAudience: ['agents'],
    allowedClients: ['app'],
    allowedScopes: ['invoke'],
    customClaims: [claim('role', 'STRING', 'EQUALS', 'ops'), claim('team', 'STRING', 'EQUALS', 'a')],
  }
  const good = { aud: ['x', 'agents'], client_id: 'app', scope: 'read invoke', role: 'ops', team: 'a' }
  assert.equal(passes(conditions, good), true)
  for (const name of Object.keys(good)) {
    assert.equal(passes(conditions, { ...good, [name]: 'else' }), false, name)
    assert.equal(passes(conditions, { ...good, [name]: undefined }), false, name)
  }
})

test('only a scope that is missing is called so: another token with more scopes would do', () => {
  const refusal = refusalBy({ discoveryUrl: DISCOVERY_URL, allowedScopes: ['invoke'] }, { scope: 'invoked' })
  assert.equal(refusal?.error, 'insufficient_scope')
})

test('a claim of the wrong type never matches, and nothing is compared in part, by case or by inheritance', () => {
  for (const aud of [7, true, null, { agents: 1 }, [['agents']], ['agents '], 'Agents', 'agents,x', 'x agents']) {
    assert.equal(passes({ allowedAudience: ['agents'] }, { aud }), false, JSON.stringify(aud))
  }
  for (const client of [7, ['app'], { app: 1 }, 'APP']) assert.equal(passes({ allowedClients: ['app'] }, { client_id: client }), false)
  assert.equal(
    passes({ allowedClients: ['app'] }, { client_id: 'else', azp: 'app', appid: 'app', cid: 'app' }),
    false,
    'the first that is there counts',
  )
  assert.equal(passes({ allowedScopes: ['a b'] }, { scope: 'a b' }), false)
  assert.equal(passes({ allowedScopes: ['b'] }, { scope: 'a  b ' }), true)
  assert.equal(passes({ allowedScopes: ['b'] }, { scope: ['a', 'b'] }), true)
  const equals = { customClaims: [claim('role', 'STRING', 'EQUALS', 'ops')] }
  for (const role of [['ops'], { ops: 1 }, 'ops ', 'OPS']) assert.equal(passes(equals, { role }), false, JSON.stringify(role))
  const contains = { customClaims: [claim('role', 'STRING_ARRAY', 'CONTAINS', 'ops')] }
  for (const role of ['ops', 'ops,dev', { ops: 1 }, [['ops']], []]) assert.equal(passes(contains, { role }), false, JSON.stringify(role))
  assert.equal(passes({ customClaims: [claim('constructor', 'STRING', 'EQUALS', 'x')] }, {}), false)
  assert.equal(passes({ customClaims: [claim('toString', 'STRING_ARRAY', 'CONTAINS', 'x')] }, {}), false)
})

test('a condition whose operator and type do not fit lets nobody through, whatever schema let it in', () => {
  assert.equal(passes({ customClaims: [claim('role', 'STRING_ARRAY', 'EQUALS', 'ops')] }, { role: 'ops' }), false)
  assert.equal(passes({ customClaims: [claim('role', 'STRING', 'CONTAINS', 'ops')] }, { role: ['ops'] }), false)
  assert.equal(passes({ customClaims: [claim('role', 'STRING_ARRAY', 'CONTAINS_ANY', 'ops')] }, { role: ['ops'] }), false)
  assert.equal(passes({ customClaims: [claim('role', 'STRING', 'EQUALS', [])] }, {}), false)
})

function claim(
  name: string,
  type: 'STRING' | 'STRING_ARRAY',
  operator: 'EQUALS' | 'CONTAINS' | 'CONTAINS_ANY',
  value: string | string[],
): CustomClaim {
  const claimMatchValue = typeof value === 'string' ? { matchValueString: value } : { matchValueStringList: value }
  return {
    inboundTokenClaimName: name,
    inboundTokenClaimValueType: type,
    authorizingClaimMatchValue: { claimMatchOperator: operator, claimMatchValue },
  }
}
