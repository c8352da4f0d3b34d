import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { bearerCall } from '../kit/callers.ts'
import { eventually } from '../kit/eventually.ts'
import { IdentityProvider } from '../kit/identity-provider.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onProcesses } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'

/** Security rule 10: what a provider has withdrawn is refused onProcesses within this. */
const WITHDRAWN_WITHIN_MS = 10_000

interface Boot {
  boot: string
}

/** Two providers that an installation trusts although they are private, and the installation. */
async function withProviders(
  t: TestContext,
): Promise<{ installation: LocalInstallation; first: IdentityProvider; second: IdentityProvider }> {
  const [first, second] = await Promise.all([IdentityProvider.start(), IdentityProvider.start()])
  t.after(() => Promise.all([first.stop(), second.stop()]))
  const authorities = join(dirname(first.caFile), 'authorities.pem')
  writeFileSync(authorities, [first, second].map(({ caFile }) => readFileSync(caFile, 'utf8')).join('\n'))
  const installation = await LocalInstallation.start(t, {
    args: ['--oidc-trusted-issuers', `${first.issuer},${second.issuer}`, '--oidc-ca-file', authorities],
  })
  return { installation, first, second }
}

function caller(installation: LocalInstallation, arn: string, id: string, qualifier?: string) {
  const query = qualifier === undefined ? '' : `?qualifier=${qualifier}`
  return async (token: string | undefined, order: object = { do: 'boot' }): Promise<RawAnswer> =>
    bearerCall(installation.gateway, `${invocationPath(arn)}${query}`, token, { [SESSION_HEADER]: id }, JSON.stringify(order))
}

const bootOf = (answer: RawAnswer): string => {
  assert.equal(answer.status, 200, answer.body)
  return (JSON.parse(answer.body) as Boot).boot
}

onProcesses(
  'bearers: one subject of two issuers is two owners, a token opens only what it was made for, and no bad one reaches the agent',
  async (t) => {
    const { installation, first, second } = await withProviders(t)
    const record = join(installation.home, 'calls')
    const environment = { RECORD_FILE: record }
    const arn = await installation.apply(
      runtimeManifest('one', { environment, customJWT: { discoveryUrl: first.discoveryUrl, allowedAudience: ['one'] } }),
    )
    const other = await installation.apply(
      runtimeManifest('two', { customJWT: { discoveryUrl: second.discoveryUrl, allowedAudience: ['two'] } }),
    )
    const id = newSessionId()
    const [one, two] = [caller(installation, arn, id), caller(installation, other, id)]
    const ann = await first.token({ sub: 'ann', aud: 'one' })

    for (const bad of await badTokens(first, second)) {
      const refused = await one(bad)
      assert.deepEqual([refused.status, errorOf(refused).type], [401, 'UnauthorizedException'], refused.body)
      assert.match(refused.headers['www-authenticate']!, /^Bearer .*resource_metadata=/)
    }
    assert.equal(errorOf(await installation.gateway.invoke(arn, id, { do: 'boot' })).status, 403, 'a signature to a JWT runtime')
    assert.equal(existsSync(record), false, 'no refused call has reached an agent')

    const boot = bootOf(await one(ann))
    assert.notEqual(bootOf(await two(await second.token({ sub: 'ann', aud: 'two' }))), boot)
    assert.notEqual(bootOf(await one(await first.token({ sub: 'bob', aud: 'one' }))), boot)
    assert.equal(bootOf(await one(await first.token({ sub: 'ann', aud: 'one' }))), boot, 'a renewed token is the same owner')
    assert.equal((await two(ann)).status, 401, 'a token for another runtime')
    const stop = await bearerCall(
      installation.gateway,
      invocationPath(arn, 'stopruntimesession'),
      await first.token({ sub: 'eve', aud: 'one' }),
      { [SESSION_HEADER]: id },
      '',
    )
    assert.equal(errorOf(stop).status, 404)
    assert.equal(bootOf(await one(ann)), boot, 'who was named in no stop lives on')

    await endpointsDiffer(installation, first)
    await noProvider(installation)
    await keysMove(installation, first, { arn, id, ann, boot })
  },
)

/** Two endpoints of one runtime, each with an authorizer of its own: even where sessions are everybody's, they never share a pod. */
async function endpointsDiffer(installation: LocalInstallation, provider: IdentityProvider): Promise<void> {
  const customJWT = { discoveryUrl: provider.discoveryUrl, allowedAudience: ['one'] }
  const arn = await installation.apply(runtimeManifest('both', { customJWT, sessionOwnership: 'Runtime' }))
  const path = '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/both'
  const spec = { authorizer: null, endpoints: [{ name: 'prod', version: 1 }] }
  const changed = await installation.api.call('PATCH', path, { spec }, 'application/merge-patch+json')
  assert.equal(changed.status, 200)
  const id = newSessionId()
  const token = await provider.token({ sub: 'ann', aud: 'one' })
  const pinned = caller(installation, arn, id, 'prod')
  /** Several at once, so that each gateway has its share; each hears of the change in its own time. */
  const bootEverywhere = (call: () => Promise<RawAnswer>): Promise<string> =>
    eventually(
      async () => {
        const answers = await Promise.all(Array.from({ length: 6 }, call))
        return answers.every(({ status }) => status === 200) && bootOf(answers[0]!)
      },
      { withinMs: 15_000, because: 'every gateway knows both endpoints' },
    )
  const latest = await bootEverywhere(() => installation.gateway.invoke(arn, id, { do: 'boot' }))
  assert.notEqual(await bootEverywhere(() => pinned(token)), latest)
  assert.equal((await caller(installation, arn, id)(token)).status, 403, 'a bearer of the other endpoint')
  const query = { qualifier: 'prod' }
  const signed = await installation.gateway.send({ path: invocationPath(arn), query, headers: { [SESSION_HEADER]: id }, body: '{}' })
  assert.equal(signed.status, 403, 'a signature to the endpoint that takes bearers')
}

/** A provider that never answers costs its own runtime an error within seconds, and shows in a condition. */
async function noProvider(installation: LocalInstallation): Promise<void> {
  const discoveryUrl = 'https://127.0.0.1:1/.well-known/openid-configuration'
  const manifest = runtimeManifest('orphan', { customJWT: { discoveryUrl, allowedAudience: ['x'] } })
  const arn = await installation.apply(manifest)
  const token = `${Buffer.from('{"alg":"ES256","kid":"k"}').toString('base64url')}.e30.AAAA`
  const answer = await caller(installation, arn, newSessionId())(token)
  assert.deepEqual([answer.status, errorOf(answer).type], [500, 'InternalServerException'])
  const path = '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/orphan'
  const condition = await eventually(
    async () => {
      const { body } = await installation.api.call<typeof manifest>('GET', path)
      return body.status?.conditions?.find(({ type, status }) => type === 'AuthorizerReady' && status === 'False')
    },
    { withinMs: WITHDRAWN_WITHIN_MS, because: 'the condition says so' },
  )
  assert.match(condition.reason, /^(PortNotAllowed|AddressNotAllowed|Unreachable)$/)
}

/** Every row of what is wrong with a token; each is signed with a key that the provider shows, where it is signed at all. */
async function badTokens(first: IdentityProvider, second: IdentityProvider): Promise<(string | undefined)[]> {
  const good = { sub: 'ann', aud: 'one' }
  const token = await first.token(good)
  const [head, payload, signature] = token.split('.') as [string, string, string]
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  return [
    undefined,
    await first.token(good, { expiresInSeconds: -120 }),
    await first.token({ ...good, nbf: Math.floor(Date.now() / 1000) + 600 }),
    await first.token({ ...good, aud: 'two' }),
    await first.token({ ...good, iss: second.issuer }),
    await first.token({ ...good, sub: '' }),
    await second.token(good),
    `${none}.${payload}.`,
    `${head}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
    `${head}.${payload}.${'x'.repeat(64 * 1024)}`,
  ]
}

/** A key that is added is taken at once; one that is withdrawn is refused within ten seconds, live session or not; while the provider is away, known keys serve. */
async function keysMove(
  installation: LocalInstallation,
  provider: IdentityProvider,
  { arn, id, ann, boot }: { arn: string; id: string; ann: string; boot: string },
): Promise<void> {
  const one = caller(installation, arn, id)
  const old = provider.kid
  await provider.rotate()
  const renewed = await provider.token({ sub: 'ann', aud: 'one' })
  assert.equal(bootOf(await one(renewed)), boot)
  assert.equal(bootOf(await one(ann)), boot, 'the old key is still shown')
  await provider.withdraw(old)
  await eventually(
    async () => {
      const answers = await Promise.all(Array.from({ length: 6 }, () => one(ann)))
      return answers.every(({ status }) => status === 401)
    },
    { withinMs: WITHDRAWN_WITHIN_MS, because: 'a key that was withdrawn is good for nothing on every gateway' },
  )
  assert.equal(bootOf(await one(renewed)), boot)
  await provider.stopAnswering('refuse')
  assert.equal(bootOf(await one(renewed)), boot)
}
