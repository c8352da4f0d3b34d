import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { bearerCall } from '../kit/callers.ts'
import { eventually } from '../kit/eventually.ts'
import { IdentityProvider } from '../kit/identity-provider.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'

/** Security rule 10: what a provider has withdrawn is refused everywhere within this. */
const WITHDRAWN_WITHIN_MS = 10_000

interface Boot {
  boot: string
}

/** Two providers that an installation trusts although they are private, and the installation. */
async function withProviders(t: TestContext): Promise<{ installation: Installation; first: IdentityProvider; second: IdentityProvider }> {
  const [first, second] = await Promise.all([IdentityProvider.start(), IdentityProvider.start()])
  t.after(() => Promise.all([first.stop(), second.stop()]))
  const authorities = join(dirname(first.caFile), 'authorities.pem')
  writeFileSync(authorities, [first, second].map(({ caFile }) => readFileSync(caFile, 'utf8')).join('\n'))
  const installation = await Installation.start(t, {
    args: ['--oidc-trusted-issuers', `${first.issuer},${second.issuer}`, '--oidc-ca-file', authorities],
  })
  return { installation, first, second }
}

function caller(installation: Installation, arn: string, id: string, qualifier?: string) {
  const query = qualifier === undefined ? '' : `?qualifier=${qualifier}`
  return async (token: string | undefined, order: object = { do: 'boot' }): Promise<RawAnswer> =>
    bearerCall(installation.gateway, `${invocationPath(arn)}${query}`, token, { [SESSION_HEADER]: id }, JSON.stringify(order))
}

const bootOf = (answer: RawAnswer): string => {
  assert.equal(answer.status, 200, answer.body)
  return (JSON.parse(answer.body) as Boot).boot
}

everywhere(
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

    await keysMove(installation, first, { arn, id, ann, boot })
  },
)

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
  installation: Installation,
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
