import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Authorizers } from '../../src/oidc/authorizers.ts'
import type { Verdict } from '../../src/oidc/verdict.ts'
import { DISCOVERY_URL, ISSUER, SimulatedProvider } from './simulated-provider.ts'

const UNKNOWN_KEY = { allowed: false, error: 'invalid_token', description: 'the token is signed with a key that is not known' }
const HOUR_MS = 3_600_000
const LONG = { exp: 4_102_444_800 } // the year 2100

async function made(): Promise<{ provider: SimulatedProvider; authorizers: Authorizers; authorize(token: string): Promise<Verdict> }> {
  const provider = await SimulatedProvider.make()
  const authorizers = new Authorizers(provider.env)
  return { provider, authorizers, authorize: (token) => authorizers.authorize(provider.authorizer(), token) }
}

function isAllowed(verdict: Verdict): boolean {
  return 'allowed' in verdict && verdict.allowed
}

/** Calls with the token every `everyMs`, for `forMs`; answers when it was refused first, from now. */
async function callUntilRefused(
  { clock }: SimulatedProvider,
  authorize: () => Promise<Verdict>,
  { forMs, everyMs }: { forMs: number; everyMs: number },
): Promise<number | undefined> {
  const begunMs = clock.monotonic()
  while (clock.monotonic() - begunMs < forMs) {
    if (!isAllowed(await authorize())) return clock.monotonic() - begunMs
    await clock.run(clock.monotonic() + everyMs)
  }
  return undefined
}

test('the first calls share one discovery and one look at the keys', async () => {
  const { provider, authorize } = await made()
  const tokens = await Promise.all(Array.from({ length: 20 }, (_, at) => provider.token({ sub: `s${at}` })))
  assert.ok((await Promise.all(tokens.map(authorize))).every(isAllowed))
  assert.deepEqual(
    provider.asked.map(({ url }) => url),
    [DISCOVERY_URL, `${ISSUER}/keys`],
  )
})

test('a token signed with a new key opens at once', async () => {
  const { provider, authorize } = await made()
  await authorize(await provider.token())
  await provider.addKey('second')
  assert.ok(isAllowed(await authorize(await provider.token({}, { kid: 'second' }))))
  assert.ok(isAllowed(await authorize(await provider.token({ sub: 'b' }, { kid: 'first' }))), 'the old one still does')
})

test('random kids cost the provider one look in 30 s', async () => {
  const { provider, authorize } = await made()
  await authorize(await provider.token({}, { header: { kid: 'unknown' } }))
  assert.equal(provider.looks, 1, 'the first ever')
  for (let second = 0; second < 120; second += 1) {
    const tokens = [1, 2, 3].map((at) => provider.token({}, { header: { kid: `random-${second}-${at}` } }))
    for (const verdict of await Promise.all((await Promise.all(tokens)).map(authorize))) assert.deepEqual(verdict, UNKNOWN_KEY)
    await provider.clock.run(provider.clock.monotonic() + 1_000)
  }
  assert.equal(provider.looks, 5)
})

test('a bad signature under a published kid costs the provider nothing, however old its keys are', async () => {
  const { provider, authorize } = await made()
  await provider.addKey('thief')
  provider.published = ['first']
  await authorize(await provider.token())
  await provider.clock.run(600_000)
  const { looks } = provider
  for (let at = 0; at < 50; at += 1) await authorize(await provider.token({ sub: `${at}` }, { kid: 'thief', header: { kid: 'first' } }))
  assert.equal(provider.looks, looks)
})

for (const everyMs of [100, 3_000, 9_500]) {
  test(`a withdrawn key is refused within 10 s, with a call every ${everyMs} ms`, async () => {
    for (const goneAfterMs of [0, 1, 2_500, 4_999, 6_999]) {
      const { provider, authorize } = await made()
      await provider.addKey('second')
      const token = await provider.token(LONG)
      await callUntilRefused(provider, () => authorize(token), { forMs: 20_000 + goneAfterMs, everyMs })
      provider.published = ['second']
      const refusedMs = await callUntilRefused(provider, () => authorize(token), { forMs: 30_000, everyMs })
      assert.ok(refusedMs !== undefined && refusedMs <= 10_000, `after ${refusedMs} ms`)
    }
  })
}

test('after a pause, the first call with a withdrawn key is refused, whenever it was withdrawn', async () => {
  const lastLookMs = 66_000
  for (const [pauseMs, withdrawnMs] of [
    [10_000, 0],
    [80_000, lastLookMs],
    [120_000, 119_999],
    [2 * HOUR_MS, 2 * HOUR_MS],
  ] as const) {
    const { provider, authorize } = await made()
    await provider.addKey('second')
    const token = await provider.token(LONG)
    assert.ok(isAllowed(await authorize(token)))
    await provider.clock.run(withdrawnMs)
    provider.published = ['second']
    await provider.clock.run(pauseMs)
    assert.deepEqual(await authorize(token), UNKNOWN_KEY, `${pauseMs} ms`)
    assert.deepEqual(await authorize(await provider.token({ ...LONG, sub: 'else' })), UNKNOWN_KEY, 'a token never seen before too')
  }
})

test('another key under the kid of a withdrawn one is another key', async () => {
  const { provider, authorize } = await made()
  const token = await provider.token(LONG)
  assert.ok(isAllowed(await authorize(token)))
  await provider.addKey('first')
  await provider.clock.run(provider.clock.monotonic() + 10_000)
  const verdict = await authorize(token)
  assert.deepEqual('description' in verdict && verdict.description, 'the signature of the token is wrong')
})

test('keys are asked for every 5 s while good tokens come, and no more a minute after the last', async () => {
  const { provider, authorize } = await made()
  const token = await provider.token(LONG)
  await callUntilRefused(provider, () => authorize(token), { forMs: 60_000, everyMs: 500 })
  assert.ok(provider.looks >= 11 && provider.looks <= 13, `${provider.looks}`)
  const { looks } = provider
  await provider.clock.run(provider.clock.monotonic() + HOUR_MS)
  assert.ok(provider.looks - looks <= 13, `${provider.looks - looks}`)
})

test('the answer that nothing changed is enough', async () => {
  const { provider, authorize } = await made()
  provider.conditional = true
  const token = await provider.token(LONG)
  assert.equal(await callUntilRefused(provider, () => authorize(token), { forMs: 60_000, everyMs: 1_000 }), undefined)
  assert.ok(provider.asked.filter(({ etag }) => etag !== undefined).length >= 10)
  await provider.addKey('second')
  provider.published = ['second']
  const refusedMs = await callUntilRefused(provider, () => authorize(token), { forMs: 30_000, everyMs: 1_000 })
  assert.ok(refusedMs !== undefined && refusedMs <= 10_000)
})

for (const mode of ['refuse', 'hang'] as const) {
  test(`a provider that is down (${mode}): with its keys calls are served, for an hour`, async () => {
    const { provider, authorize } = await made()
    const token = await provider.token(LONG)
    await callUntilRefused(provider, () => authorize(token), { forMs: 10_000, everyMs: 1_000 })
    provider.mode = mode
    const { clock } = provider
    const waitedMs: number[] = []
    for (let at = 0; at < 100; at += 1) {
      const begunMs = clock.monotonic()
      const answers: Verdict[] = []
      void authorize(token).then((verdict) => answers.push(verdict))
      await clock.run(begunMs + 3_000, () => answers.length > 0)
      assert.ok(isAllowed(answers[0]!), `call ${at}`)
      waitedMs.push(clock.monotonic() - begunMs)
      await clock.run(begunMs + 1_000)
    }
    assert.ok(Math.max(...waitedMs) <= 2_500 && waitedMs.filter((ms) => ms > 0).length <= 1, `calls waited for ${waitedMs.join()} ms`)
    assert.ok(provider.asked.length < 60, `${provider.asked.length} questions in 100 s`)
    await clock.run(clock.monotonic() + HOUR_MS)
    const late = authorize(token)
    await clock.run(clock.monotonic() + 3_000)
    assert.deepEqual(await late, { unavailable: true, code: mode === 'hang' ? 'TooSlow' : 'Unreachable' })
  })

  test(`a provider that is down (${mode}) and was never up: unavailable within 3 s, asked seldom, and good again soon after`, async () => {
    const { provider, authorize } = await made()
    const token = await provider.token(LONG)
    provider.mode = mode
    const { clock } = provider
    for (let at = 0; at < 100; at += 1) {
      const begunMs = clock.monotonic()
      const answers: Verdict[] = []
      void authorize(token).then((verdict) => answers.push(verdict))
      await clock.run(begunMs + 3_000, () => answers.length > 0)
      assert.deepEqual(answers, [{ unavailable: true, code: mode === 'hang' ? 'TooSlow' : 'Unreachable' }])
      await clock.run(begunMs + 1_000)
    }
    assert.ok(provider.asked.length <= 30, `${provider.asked.length} questions`)
    provider.mode = 'up'
    await clock.run(clock.monotonic() + 8_000)
    assert.ok(isAllowed(await authorize(token)))
  })
}

test('one provider that hangs holds no other one up', async () => {
  const [slow, good] = await Promise.all([SimulatedProvider.make('https://slow.example.com'), SimulatedProvider.make()])
  slow.mode = 'hang'
  const fetchDocument: typeof slow.env.fetchDocument = (asked) => (asked.issuer === slow.issuer ? slow : good).env.fetchDocument(asked)
  const authorizers = new Authorizers({ clock: good.clock, fetchDocument })
  void authorizers.authorize(slow.authorizer(), await slow.token())
  assert.ok(isAllowed(await authorizers.authorize(good.authorizer(), await good.token())))
})

const DOCUMENTS: [string, string, Record<string, unknown>, string][] = [
  ['names another issuer', DISCOVERY_URL, { issuer: 'https://victim.example.com', jwks_uri: `${ISSUER}/keys` }, 'IssuerMismatch'],
  ['names an issuer of another case', DISCOVERY_URL, { issuer: ISSUER.toUpperCase(), jwks_uri: `${ISSUER}/keys` }, 'IssuerMismatch'],
  ['names no issuer', DISCOVERY_URL, { jwks_uri: `${ISSUER}/keys` }, 'IssuerMismatch'],
  ['names no key set', DISCOVERY_URL, { issuer: ISSUER }, 'JwksInvalid'],
  ['names a list of key sets', DISCOVERY_URL, { issuer: ISSUER, jwks_uri: [`${ISSUER}/keys`] }, 'JwksInvalid'],
  ['has no keys', `${ISSUER}/keys`, {}, 'JwksInvalid'],
  ['has words for keys', `${ISSUER}/keys`, { keys: ['a'] }, 'JwksInvalid'],
]
for (const [title, url, document, code] of DOCUMENTS) {
  test(`a document that ${title} is refused`, async () => {
    const { provider, authorizers, authorize } = await made()
    provider.documents.set(url, document)
    assert.deepEqual(await authorize(await provider.token()), { unavailable: true, code })
    const checked = await authorizers.checkProvider(provider.authorizer())
    assert.ok(!checked.ok && checked.code === code && checked.message.length > 10)
  })
}

test('a provider that has no keys any more signs nothing', async () => {
  const { provider, authorize } = await made()
  const token = await provider.token(LONG)
  assert.ok(isAllowed(await authorize(token)))
  provider.published = []
  await provider.clock.run(provider.clock.monotonic() + 10_000)
  assert.deepEqual(await authorize(token), UNKNOWN_KEY)
})

test('a check looks anew: it sees a provider come back, and one that changed', async () => {
  const { provider, authorizers } = await made()
  const check = async (): Promise<unknown> => {
    const checked = await authorizers.checkProvider(provider.authorizer())
    return checked.ok || checked.code
  }
  provider.mode = 'refuse'
  assert.equal(await check(), 'Unreachable')
  provider.mode = 'up'
  assert.equal(await check(), true)
  provider.documents.set(DISCOVERY_URL, { issuer: 'https://victim.example.com' })
  assert.equal(await check(), 'IssuerMismatch')
})

test('checks of a provider that hangs hold no call up for which there are keys', async () => {
  const { provider, authorizers, authorize } = await made()
  const { clock } = provider
  const token = await provider.token(LONG)
  await callUntilRefused(provider, () => authorize(token), { forMs: 10_000, everyMs: 1_000 })
  provider.mode = 'hang'
  await clock.run(clock.monotonic() + 8_000)
  const checking = authorizers.checkProvider(provider.authorizer())
  const begunMs = clock.monotonic()
  assert.ok(isAllowed(await authorize(token)))
  assert.equal(clock.monotonic(), begunMs)
  await clock.run(begunMs + 6_000)
  assert.equal((await checking).ok, false)
})

test('a token is good for one authorizer only: another one judges it by its own conditions', async () => {
  const { provider, authorizers } = await made()
  const token = await provider.token({ aud: 'a' })
  assert.ok(isAllowed(await authorizers.authorize(provider.authorizer({ allowedAudience: ['a'] }), token)))
  assert.ok(!isAllowed(await authorizers.authorize(provider.authorizer({ allowedAudience: ['b'] }), token)))
})

test('a token that was good is refused when it has expired', async () => {
  const { provider, authorize } = await made()
  const token = await provider.token({ exp: provider.seconds(30) })
  assert.ok(isAllowed(await authorize(token)))
  await provider.clock.run(provider.clock.monotonic() + 91_000)
  const verdict = await authorize(token)
  assert.deepEqual('description' in verdict && verdict.description, 'the token has expired')
})

test('more providers than are kept at once are still judged right, and one that was dropped asks no more', async () => {
  const provider = await SimulatedProvider.make()
  const authorizers = new Authorizers(provider.env)
  const token = await provider.token(LONG)
  assert.ok(isAllowed(await authorizers.authorize(provider.authorizer(), token)))
  provider.mode = 'refuse'
  for (let at = 0; at < 1_000; at += 1) {
    await authorizers.authorize(
      { discoveryUrl: `https://p${at}.example.com/.well-known/openid-configuration`, allowedAudience: ['a'] },
      token,
    )
  }
  provider.mode = 'up'
  const asked = provider.asked.length
  await provider.clock.run(provider.clock.monotonic() + 50_000)
  assert.equal(provider.asked.length, asked)
  assert.ok(isAllowed(await authorizers.authorize(provider.authorizer(), token)))
})

test('closed, it asks nobody', async () => {
  const { provider, authorizers, authorize } = await made()
  await authorize(await provider.token())
  authorizers.close()
  const asked = provider.asked.length
  await provider.clock.run(provider.clock.monotonic() + 50_000)
  assert.equal(provider.asked.length, asked)
})
