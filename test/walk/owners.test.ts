import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { accessLine } from '../../src/gateway/access-log.ts'
import { callerWith, bearerCall, grant, makeKey, revokeKey, serviceAccountToken, type Right } from '../kit/callers.ts'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { PLACE, everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, type Keys, type RawGateway } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'

const USER_ID = 'X-Amzn-Bedrock-AgentCore-Runtime-User-Id'
const BOTH: Right[] = ['invocations', 'stop']
const ROOT = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)
/** A key is known, and unknown, everywhere within this. */
const STOPS_WITHIN_MS = 5_000
/** Security rule 10: a right that is gone is gone everywhere within this. */
const REVOKED_WITHIN_MS = 10_000

interface Boot {
  boot: string
}

everywhere('two keys, a service account and a user that is acted for share a session id and nothing else', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const [annKeys, bobKeys] = [await makeKey(installation, 'ann'), await makeKey(installation, 'bob', ['staff'])]
  const [ann, bob] = [callerWith(t, installation, annKeys), callerWith(t, installation, bobKeys)]
  const token = await serviceAccountToken(installation, 'bot', 'carrel')
  await grant(installation, 'ann', { kind: 'User', name: 'ann' }, [...BOTH, 'invocationsforuser'])
  await grant(installation, 'staff', { kind: 'Group', name: 'staff' }, BOTH)
  await grant(installation, 'bot', { kind: 'ServiceAccount', name: 'bot', namespace: 'default' }, ['invocations'])
  const id = newSessionId()
  const bot = async (order: object): Promise<Boot> => {
    const answer = await bearerCall(installation.gateway, invocationPath(arn), token, { [SESSION_HEADER]: id }, JSON.stringify(order))
    assert.equal(answer.status, 200, answer.body)
    return JSON.parse(answer.body) as Boot
  }
  const forCarl = async (): Promise<Boot> => JSON.parse((await ann.invoke(arn, id, { do: 'boot' }, { [USER_ID]: 'carl' })).body) as Boot
  const asked = await eventually(
    async () => {
      const answers = [await ann.invoke(arn, id, { do: 'boot' }), await bob.invoke(arn, id, { do: 'boot' })]
      return answers.every(({ status }) => status === 200) && answers.map(({ body }) => JSON.parse(body) as Boot)
    },
    { withinMs: REVOKED_WITHIN_MS, because: 'the gateways know keys and roles' },
  )
  const boots = [...asked, await bot({ do: 'boot' }), await forCarl()]
  assert.equal(new Set(boots.map(({ boot }) => boot)).size, 4)
  assert.equal((await forCarl()).boot, boots[3]!.boot, 'the same user again')
  assert.equal((await bot({ do: 'boot' })).boot, boots[2]!.boot)

  // A tenant's own Secret maps nobody to anybody; a stranger learns nothing; who may call somewhere learns what is not there.
  const forged = callerWith(t, installation, await makeKey(installation, 'ann', [], 'default'))
  assert.equal(errorOf(await forged.invoke(arn, id, { do: 'boot' })).status, 403)
  const nowhere = `${arn.slice(0, -10)}0123456789`
  const stranger = callerWith(t, installation, await makeKey(installation, 'eve'))
  /** Several at once, so that each gateway has its share. */
  const known = async (): Promise<boolean> => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => stranger.invoke(arn, id, {})))
    return answers.every(({ body }) => !body.includes('is not one of this installation'))
  }
  await eventually(known, { withinMs: REVOKED_WITHIN_MS, because: 'the gateways know the key' })
  const [there, notThere] = [errorOf(await stranger.invoke(arn, id, {})), errorOf(await stranger.invoke(nowhere, id, {}))]
  assert.deepEqual(there, notThere)
  assert.equal(there.status, 403)
  assert.equal(errorOf(await ann.invoke(nowhere, id, {})).status, 404)

  // Another's stop: 404 to who has no such session, 403 to who may not stop, and the victim's process lives.
  assert.equal(errorOf(await installation.gateway.stop(arn, id)).status, 404)
  const botStops = await bearerCall(installation.gateway, invocationPath(arn, 'stopruntimesession'), token, { [SESSION_HEADER]: id }, '')
  assert.equal(errorOf(botStops).status, 403)
  assert.equal(errorOf(await bob.invoke(arn, id, { do: 'boot' }, { [USER_ID]: 'ann' })).status, 403, 'a forged user-id header')
  assert.ok(installation.agents().length >= boots.length, 'every session lives')
  assert.equal((await bob.stop(arn, id)).status, 200)
  assert.equal((await ann.ask<Boot>(arn, id, { do: 'boot' })).boot, boots[0]!.boot)
  await revocations(installation, { ann, bob, bobKeys, arn, id })
})

/** In the same installation, so that it takes no longer than it must: a binding deleted, a key revoked; live sessions' next calls too. */
async function revocations(
  installation: Installation,
  { ann, bob, bobKeys, arn, id }: { ann: RawGateway; bob: RawGateway; bobKeys: { secretName: string }; arn: string; id: string },
): Promise<void> {
  await installation.api.call('DELETE', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/ann')
  await revokeKey(installation, bobKeys)
  await eventually(async () => (await Promise.all([refusedEverywhere(ann, arn, id), refusedEverywhere(bob, arn, id)])).every(Boolean), {
    withinMs: REVOKED_WITHIN_MS,
    because: 'a right or key that is gone is gone on every gateway',
  })
}

everywhere(
  'keys by the command line: a new one works, a rotated one until its grace ends, a revoked one stops on every gateway',
  async (t) => {
    const installation = await Installation.start(t)
    const arn = await installation.apply(runtimeManifest('probe'))
    await grant(installation, 'carl', { kind: 'User', name: 'carl' }, BOTH)
    const first = await keys(installation, 'create', '--user', 'carl')
    const old = callerWith(t, installation, first)
    const id = newSessionId()
    const works = async (caller: RawGateway): Promise<boolean> => (await caller.invoke(arn, id, { do: 'boot' })).status === 200
    await eventually(() => works(old), { withinMs: STOPS_WITHIN_MS, because: 'a new key works' })
    const { boot } = await old.ask<Boot>(arn, id, { do: 'boot' })

    const second = await keys(installation, 'rotate', first.accessKeyId, '--grace', '5s')
    const rotatedAtMs = performance.now()
    const successor = callerWith(t, installation, second)
    await eventually(() => works(successor), { withinMs: STOPS_WITHIN_MS, because: 'its successor works' })
    assert.equal((await successor.ask<Boot>(arn, id, { do: 'boot' })).boot, boot, 'the owner is the same')
    await eventually(() => refusedEverywhere(old, arn, id), { withinMs: 5_000 + STOPS_WITHIN_MS, because: 'the grace of the old one ends' })
    assert.ok(performance.now() - rotatedAtMs > 4_000, 'it ended before its grace')

    await carrel(installation, 'keys', 'revoke', second.accessKeyId)
    await eventually(() => refusedEverywhere(successor, arn, id), { withinMs: STOPS_WITHIN_MS, because: 'a revoked key stops' })
    await whatIsTold(installation, id)
  },
)

/** Of the same installation: the command line, the metrics, the access log. */
async function whatIsTold(installation: Installation, id: string): Promise<void> {
  const sessions = JSON.parse(await carrel(installation, 'sessions', '-o', 'json')) as { sessionId: string; activity: string | null }[]
  assert.deepEqual(
    sessions.map(({ sessionId, activity }) => [sessionId, activity]),
    // The cluster's gateway is reached by http here, which no token is sent over.
    [[id, PLACE === 'cluster' ? null : 'Idle']],
  )
  const metrics = await installation.gateway.send({ method: 'GET', path: '/metrics', body: '' })
  assert.match(metrics.body, /^carrel_gateway_requests_total\{operation="InvokeAgentRuntime",code="200"\} [1-9]/m)
  assert.match(metrics.body, /^carrel_gateway_auth_failures_total\{method="sigv4",reason="credentials"\} [1-9]/m)
  const lines = (await installation.gatewayLog()).map((line) => JSON.parse(line) as Record<string, unknown>)
  const calls = lines
    .filter(({ msg }) => msg === 'call')
    .map(({ level: _l, time: _t, pid: _p, hostname: _h, name: _n, msg: _m, ...line }) => line)
  for (const call of calls) accessLine.parse(call)
  assert.ok(calls.some(({ user, sessionId, status }) => user === 'carl' && sessionId === id && status === 200))
}

async function carrel(installation: Installation, ...parameters: string[]): Promise<string> {
  const environment = { ...process.env, ...installation.env }
  const { stdout } = await run(process.execPath, [join(ROOT, 'bin', 'carrel.js'), ...parameters], { env: environment, timeout: 30_000 })
  return stdout
}

async function keys(installation: Installation, ...parameters: string[]): Promise<Keys> {
  const { accessKeyId, secretAccessKey } = JSON.parse(await carrel(installation, 'keys', ...parameters, '-o', 'json')) as Keys
  return { accessKeyId, secretAccessKey, region: installation.env['AWS_REGION']! }
}

/** Several at once, so that each gateway has its share. */
async function refusedEverywhere(caller: RawGateway, arn: string, id: string): Promise<boolean> {
  const answers = await Promise.all(Array.from({ length: 6 }, () => caller.invoke(arn, id, { do: 'boot' })))
  return answers.every(({ status }) => status === 403)
}

everywhere('a runtime whose sessions are everybody’s shares them, and each user still needs the right', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { sessionOwnership: 'Runtime' }))
  const dora = callerWith(t, installation, await makeKey(installation, 'dora'))
  const id = newSessionId()
  const mine = await installation.gateway.ask<Boot>(arn, id, { do: 'boot' })
  assert.equal(errorOf(await dora.invoke(arn, id, { do: 'boot' })).status, 403)
  await grant(installation, 'dora', { kind: 'User', name: 'dora' }, BOTH)
  const hers = await eventually(
    async () => {
      const answer = await dora.invoke(arn, id, { do: 'boot' })
      return answer.status === 200 && (JSON.parse(answer.body) as Boot)
    },
    { withinMs: REVOKED_WITHIN_MS, because: 'the right is known' },
  )
  assert.equal(hers.boot, mine.boot)
  assert.equal((await dora.stop(arn, id)).status, 200)
})
