import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { newSessionId, type RawGateway } from '../kit/raw-gateway.ts'
import { ExtraGateway, gatewaysOf, replicated } from './kit.ts'
import { everyOperatorFollows, leaderOf, OperatorWrites } from './leader.ts'

const CALLS = 50
/** An agent that takes its time: the calls are waiting when something dies. */
const START_DELAY_MS = 1_500
/** More than an operator makes for one session. */
const MOST_WRITES = 10

interface Boot {
  boot: string
}

/** Half of the calls through each gateway. */
function callAll(gateways: readonly RawGateway[], arn: string, sessionId: string): Promise<Boot[]> {
  return Promise.all(
    Array.from({ length: CALLS }, (_, index) => gateways[index % gateways.length]!.ask<Boot>(arn, sessionId, { do: 'boot' })),
  )
}

/** False: it had ended by itself, as a leader does that a busy machine keeps from renewing its Lease. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

test('50 first calls of one new id through two gateways: one pod create in the audit log, one boot nonce in 50 answers', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  const arn = await installation.apply(runtimeManifest('probe'))
  const boots = await callAll(gatewaysOf(t, installation), arn, newSessionId())
  assert.equal(boots.length, CALLS)
  assert.equal(new Set(boots.map(({ boot }) => boot)).size, 1)
  assert.equal(installation.podCreates(), 1)
})

test('the same with the leading operator killed after each of its writes in turn', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  const arn = await installation.apply(runtimeManifest('probe'))
  let survived = 0
  for (let attempt = 0, reached = true; reached; attempt += 1) {
    assert.ok(survived < MOST_WRITES && attempt < 2 * MOST_WRITES, `${survived} writes, ${attempt} attempts`)
    await everyOperatorFollows(installation)
    const { pid } = await leaderOf(installation)
    const before = installation.podCreates()
    const writes = new OperatorWrites(installation)
    const sessionId = newSessionId()
    const calls = callAll(gatewaysOf(t, installation), arn, sessionId)
    const settled = calls.then(() =>
      eventually(async () => (await installation.session(sessionId))?.status?.phase === 'Running', {
        withinMs: 30_000,
        because: 'the operator has written all that a session needs',
      }),
    )
    reached = await writes.reach(survived + 1, settled)
    const isKilled = reached && kill(pid)
    const boots = await calls
    await settled
    writes.close()
    assert.equal(new Set(boots.map(({ boot }) => boot)).size, 1, `killed after write ${survived + 1}`)
    assert.equal(installation.podCreates() - before, 1, `killed after write ${survived + 1}`)
    if (isKilled) survived += 1
  }
  t.diagnostic(`the leader was killed after each of ${survived} writes`)
  assert.ok(survived >= 3, `pod, status Pending, status Running: ${survived}`)
})

test('the same with one gateway killed while it waits: its own callers fail, the others’ 25 succeed', async (t) => {
  const installation = await replicated(t)
  if (!installation) return
  const arn = await installation.apply(runtimeManifest('probe', { environment: { START_DELAY_MS: String(START_DELAY_MS) } }))
  const dying = await ExtraGateway.start(t, installation, { name: 'gateway-dying', redis: installation.redisUrl() })
  const [living] = gatewaysOf(t, installation)
  const sessionId = newSessionId()
  const ofDying = Promise.allSettled(Array.from({ length: CALLS / 2 }, () => dying.raw.ask<Boot>(arn, sessionId, { do: 'boot' })))
  const ofLiving = Promise.all(Array.from({ length: CALLS / 2 }, () => living!.ask<Boot>(arn, sessionId, { do: 'boot' })))
  await eventually(async () => (await installation.session(sessionId))?.status?.podUID, {
    withinMs: 10_000,
    everyMs: 10,
    because: 'a pod is being started',
  })
  await dying.kill()
  assert.deepEqual(
    (await ofDying).filter(({ status }) => status === 'fulfilled'),
    [],
    'those of the dead one failed',
  )
  const boots = await ofLiving
  assert.equal(new Set(boots.map(({ boot }) => boot)).size, 1)
  assert.equal(installation.podCreates(), 1)
})
