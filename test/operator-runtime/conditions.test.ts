import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import type { CustomJWT } from '../../src/crds/authorizer.ts'
import type { ProviderVerdict } from '../../src/operator/env.ts'
import { LAG_MS, NAMESPACES, jwtOf, startWorld, type RuntimeWorld } from './world.ts'

const MINUTE_MS = 60_000

/** Notes when which provider is asked; `answers` says what it answers, by its discovery URL. */
function watchChecks(
  world: RuntimeWorld,
  answers: Record<string, () => Promise<ProviderVerdict>> = {},
): { issuer: string; atMs: number }[] {
  const checks: { issuer: string; atMs: number }[] = []
  world.installation.providers = {
    check: async ({ discoveryUrl }) => {
      const issuer = discoveryUrl.slice(0, discoveryUrl.indexOf('/.well-known'))
      checks.push({ issuer, atMs: world.installation.clock.monotonic() })
      return (await answers[issuer]?.()) ?? { ok: true }
    },
  }
  return checks
}

const withJWT = (issuer: string, ...audiences: string[]): { authorizer: { customJWT: CustomJWT } } => ({
  authorizer: { customJWT: jwtOf(issuer, ...audiences) },
})

test('a provider that answers makes AuthorizerReady True; it is asked every ten minutes, and nothing is written while all is well', async (t) => {
  const world = await startWorld(t, 11)
  const checks = watchChecks(world)
  await world.create('echo', withJWT('https://one.example', 'a'))
  const runtime = await world.settled('echo')
  const ready = runtime.status?.conditions?.find(({ type }) => type === 'AuthorizerReady')
  assert.deepEqual([ready?.status, ready?.reason], ['True', 'ProviderReady'])

  await world.installation.advance(120 * MINUTE_MS)
  assert.equal((await world.get('echo')).metadata.resourceVersion, runtime.metadata.resourceVersion)
  const periods = checks.slice(1).map(({ atMs }, index) => (atMs - checks[index]!.atMs) / MINUTE_MS)
  assert.ok(periods.length >= 10 && periods.every((minutes) => minutes >= 9 && minutes <= 11), String(periods))
  assert.ok(new Set(periods).size > 1, 'with jitter')
  assert.deepEqual(
    (await world.events('echo')).filter((event) => !event.endsWith('VersionCreated')),
    [],
    'that all is well from the start is no news',
  )
})

test('a provider that fails is named by a coarse code, asked again every minute, and believed when it is back', async (t) => {
  const world = await startWorld(t, 12)
  let verdict: ProviderVerdict = { ok: false, code: 'IssuerMismatch' }
  const checks = watchChecks(world, { 'https://one.example': async () => verdict })
  await world.create('echo', withJWT('https://one.example', 'a'))
  const failing = await world.condition('echo', 'AuthorizerReady')
  assert.deepEqual([failing?.status, failing?.reason], ['False', 'IssuerMismatch'])
  assert.match(failing!.message, /^endpoint DEFAULT: tokens of https:\/\/one\.example cannot be verified/)
  assert.equal((await world.condition('echo', 'Ready'))?.status, 'True', 'who has a token of before may still be served')

  const { metadata } = await world.get('echo')
  await world.installation.advance(10 * MINUTE_MS)
  assert.equal((await world.get('echo')).metadata.resourceVersion, metadata.resourceVersion, 'still failing is no news')
  const periods = checks.slice(1).map(({ atMs }, index) => (atMs - checks[index]!.atMs) / MINUTE_MS)
  assert.ok(periods.length >= 9 && periods.every((minutes) => minutes >= 0.9 && minutes <= 1.2), String(periods))

  verdict = { ok: false, code: 'Unreachable' }
  await world.installation.advance(2 * MINUTE_MS)
  const other = await world.condition('echo', 'AuthorizerReady')
  assert.equal(other?.reason, 'Unreachable')
  assert.equal(other?.lastTransitionTime, failing!.lastTransitionTime, 'it was False all the time')
  verdict = { ok: true }
  await world.installation.advance(2 * MINUTE_MS)
  const back = await world.condition('echo', 'AuthorizerReady')
  assert.equal(back?.status, 'True')
  assert.ok(back!.lastTransitionTime > failing!.lastTransitionTime)
  assert.deepEqual(
    (await world.events('echo')).filter((event) => !event.endsWith('VersionCreated')),
    ['Warning IssuerMismatch', 'Warning Unreachable', 'Normal ProviderReady'],
  )
})

test('forty providers that never answer hold up neither each other nor a runtime beside them, and are TooSlow after 3 s', async (t) => {
  const world = await startWorld(t, 13)
  const never = (): Promise<never> => new Promise(() => {})
  const silent = Array.from({ length: 40 }, (_, index) => `https://silent-${index}.example`)
  watchChecks(world, Object.fromEntries(silent.map((issuer) => [issuer, never])))
  for (const [index, issuer] of silent.entries()) await world.create(`silent-${index}`, withJWT(issuer, 'a'))
  await world.create('plain')
  const began = world.installation.clock.monotonic()
  const whole = await world.settled('plain')
  assert.equal(whole.status?.conditions?.find(({ type }) => type === 'Ready')?.status, 'True')
  assert.ok(world.installation.clock.monotonic() - began <= 2 * LAG_MS)
  for (const index of [0, 39]) assert.equal((await world.condition(`silent-${index}`, 'AuthorizerReady'))?.reason, 'TooSlow')
})

test('one check serves all runtimes of a provider, a check that throws is told, and no runtime left means no check', async (t) => {
  const world = await startWorld(t, 14)
  const checks = watchChecks(world, {
    'https://broken.example': async () => {
      throw new Error('a fault of the checker')
    },
  })
  for (const name of ['a', 'b', 'c']) await world.create(name, withJWT('https://one.example', name))
  await world.create('broken', withJWT('https://broken.example', 'a'))
  assert.equal((await world.condition('broken', 'AuthorizerReady'))?.reason, 'CheckFailed')
  assert.equal(checks.filter(({ issuer }) => issuer === 'https://one.example').length, 1)
  for (const name of ['a', 'b', 'c']) assert.equal((await world.condition(name, 'AuthorizerReady'))?.status, 'True')

  await world.change('a', { authorizer: null })
  assert.equal(await world.condition('a', 'AuthorizerReady'), undefined)
  for (const name of ['b', 'c']) await world.remove(AGENT_RUNTIMES, await world.get(name))
  await world.installation.advance(LAG_MS)
  checks.length = 0
  await world.installation.advance(60 * MINUTE_MS)
  assert.ok(checks.every(({ issuer }) => issuer === 'https://broken.example'))
})

test('a named endpoint counts with the provider of its version, and a new leader takes back nothing before it has looked', async (t) => {
  const world = await startWorld(t, 15)
  let slowMs = 0
  const late = async (): Promise<ProviderVerdict> => {
    await new Promise<void>((resolve) => world.installation.clock.after(slowMs, resolve))
    return { ok: false, code: 'JwksInvalid' }
  }
  watchChecks(world, { 'https://old.example': late })
  await world.create('echo', withJWT('https://old.example', 'a'))
  await world.settled('echo')
  await world.change('echo', { ...withJWT('https://new.example', 'a'), endpoints: [{ name: 'prod', version: 1 }] })
  const failing = await world.condition('echo', 'AuthorizerReady')
  assert.equal(failing?.reason, 'JwksInvalid')
  assert.match(failing!.message, /^endpoint prod: /)

  const before = await world.get('echo')
  slowMs = 2_000
  world.installation.operator.kill()
  world.installation.startOperator()
  await world.installation.advance(5 * MINUTE_MS)
  assert.equal((await world.get('echo')).metadata.resourceVersion, before.metadata.resourceVersion)
})

test('two runtimes that share issuer and audience warn of each other, by name only in one namespace, until they do not', async (t) => {
  const world = await startWorld(t, 16)
  await world.now(world.installation.admin.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } }))
  await world.create('ann', withJWT('https://one.example', 'shared', 'own'))
  assert.equal(await world.condition('ann', 'AudienceShared'), undefined)
  await world.create('otto', withJWT('https://two.example', 'shared'))
  await world.create('far', withJWT('https://one.example', 'other', 'shared'), 'elsewhere')
  const far = await world.condition('ann', 'AudienceShared')
  assert.deepEqual([far?.status, far?.reason], ['True', 'SharedWithRuntime'])
  assert.match(far!.message, /^a runtime of another namespace takes tokens/)
  assert.doesNotMatch(far!.message, /far|elsewhere/)
  assert.match((await world.condition('far', 'AudienceShared', 'elsewhere'))!.message, /^a runtime of another namespace/)
  assert.equal(await world.condition('otto', 'AudienceShared'), undefined, 'the same audience of another issuer is another')

  await world.create('bob', withJWT('https://one.example', 'shared'))
  assert.match((await world.condition('ann', 'AudienceShared'))!.message, /^the runtime default\/bob takes/)
  assert.match((await world.condition('bob', 'AudienceShared'))!.message, /^the runtime default\/ann takes/)

  await world.change('bob', withJWT('https://one.example', 'of-bob'))
  assert.equal(await world.condition('bob', 'AudienceShared'), undefined)
  assert.match((await world.condition('ann', 'AudienceShared'))!.message, /^a runtime of another namespace/)
  await world.remove(AGENT_RUNTIMES, await world.get('far', 'elsewhere'))
  await world.installation.advance(LAG_MS)
  assert.equal(await world.condition('ann', 'AudienceShared'), undefined)
  assert.ok((await world.events('ann')).includes('Warning SharedWithRuntime'))
})

test('a version that an endpoint is pinned to shares its audience as the latest does; one that nobody calls does not', async (t) => {
  const world = await startWorld(t, 17)
  await world.create('ann', withJWT('https://one.example', 'shared'))
  await world.settled('ann')
  await world.change('ann', { ...withJWT('https://one.example', 'own'), endpoints: [{ name: 'prod', version: 1 }] })
  await world.settled('ann')
  await world.create('bob', withJWT('https://one.example', 'shared'))
  assert.match((await world.condition('bob', 'AudienceShared'))!.message, /^the runtime default\/ann takes/)
  assert.match((await world.condition('ann', 'AudienceShared'))!.message, /^the runtime default\/bob takes/)
  await world.change('ann', { endpoints: [{ name: 'prod', version: 2 }] })
  for (const name of ['ann', 'bob']) assert.equal(await world.condition(name, 'AudienceShared'), undefined)
})
