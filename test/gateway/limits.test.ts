import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { MemoryActivity } from '../../src/activity/memory.ts'
import { AGENT_RUNTIMES, type AgentRuntime, type AgentRuntimeSpec } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS, type AgentSession } from '../../src/crds/agent-session.ts'
import { VirtualClock, seededRandom } from '../../src/env/virtual.ts'
import { GatewayError } from '../../src/gateway/errors.ts'
import { Buckets } from '../../src/gateway/limits/buckets.ts'
import { Limits } from '../../src/gateway/limits/limits.ts'
import type { Limit } from '../../src/gateway/metrics.ts'
import { policyOf } from '../../src/gateway/policy.ts'
import type { Caller, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { SessionDesk } from '../../src/gateway/sessions/sessions.ts'
import { Tables } from '../../src/gateway/sessions/tables.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { agentRuntimeId } from '../../src/sessions/runtime-id.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { SILENT } from '../kube/quiet-env.ts'
import { laggyTransport } from '../search/laggy-transport.ts'

/** A gateway's decisions over an API server that takes its time, on a virtual clock. No operator: what is opened stays so. */
class Desk {
  readonly clock = new VirtualClock(seededRandom('clock'))
  readonly limited: Limit[] = []
  readonly admin: KubeClient
  readonly tables: Tables
  readonly limits: Limits
  readonly #desk: SessionDesk
  readonly #api: EmbeddedApi
  readonly #end = new AbortController()
  readonly #outcomes: Promise<'opened' | GatewayError>[] = []

  private constructor() {
    const base = { clock: this.clock, random: seededRandom('desk'), log: SILENT }
    this.#api = new EmbeddedApi({ ...base, persistence: new MemoryPersistence(), logs: { async *read() {} } })
    const transport = inProcessTransport(this.#api, IDENTITIES.admin)
    this.admin = new KubeClient(transport)
    const env = {
      ...base,
      kubernetes: laggyTransport(transport, this.clock, seededRandom('lag')),
      activity: new MemoryActivity(this.clock),
      dial: { connect: async () => 'refused' as const },
    }
    this.tables = new Tables(env, { namespace: 'carrel-system', accessKeyType: 'carrel.dev/access-key' }, this.#end.signal)
    this.limits = new Limits(env, this.tables, { limited: (limit) => void this.limited.push(limit) })
    this.#desk = new SessionDesk(env, this.tables, { name: 'g', ready: this.tables.synced, limits: this.limits })
  }

  static async start(t: TestContext): Promise<Desk> {
    const desk = new Desk()
    t.after(() => desk.#end.abort())
    await desk.#api.start()
    await desk.clock.run(60_000, () => desk.tables.hasSynced)
    return desk
  }

  async runtime(limits: Partial<AgentRuntimeSpec['limits']>, options: { sessionOwnership?: 'Runtime' } = {}): Promise<RuntimeTarget> {
    const made = await this.admin.create(AGENT_RUNTIMES, runtimeManifest('probe', { limits, ...options }))
    return targetOf(made)
  }

  /** Begins a first call. */
  call(target: RuntimeTarget, sessionId: string, user = 'ada'): void {
    const caller: Caller = { owner: { kind: 'kubernetes', issuer: 'kubernetes', subject: user }, mayReadLogs: async () => false }
    const leaving = new AbortController()
    const entered = this.#desk.enter(target, caller, sessionId.padEnd(33, '-'), leaving.signal)
    const opened = new Promise<'opened' | GatewayError>((resolve, reject) => {
      entered.catch((error: unknown) => (error instanceof GatewayError ? resolve(error) : reject(error as Error)))
      this.clock.after(5_000, () => {
        resolve('opened')
        leaving.abort(new Error('left'))
      })
    })
    this.#outcomes.push(opened)
  }

  /** What became of the calls since. */
  async outcomes(): Promise<{ opened: number; refusals: GatewayError[] }> {
    await this.clock.run(this.clock.monotonic() + 6_000)
    const all = await Promise.all(this.#outcomes.splice(0))
    return { opened: all.filter((outcome) => outcome === 'opened').length, refusals: all.filter((outcome) => outcome !== 'opened') }
  }

  async stored(): Promise<AgentSession[]> {
    return (await this.admin.list(AGENT_SESSIONS)).items
  }

  /** As the operator would end it. */
  async end(session: AgentSession): Promise<void> {
    const { incarnation } = session.spec
    const status = { incarnation, phase: 'Terminated' as const, endReason: 'Stopped' as const, endedAt: '2026-01-01T00:00:00.000Z' }
    const operator = new KubeClient(inProcessTransport(this.#api, IDENTITIES.operator))
    await operator.replace(AGENT_SESSIONS, { ...session, status }, 'status')
    await this.clock.run(this.clock.monotonic() + 6_000) // the gateway's watch may be that far behind
  }
}

function targetOf(runtime: AgentRuntime): RuntimeTarget {
  return { runtime, runtimeId: agentRuntimeId(runtime), endpoint: 'DEFAULT', policy: policyOf(runtime.spec) }
}

function said(error: GatewayError | undefined): [number, string, number | undefined] {
  return [error!.status, error!.type, error!.extras.retryAfterMs]
}

test('200 concurrent first calls open as many sessions as the runtime may have; the rest get 402 and nothing is made for them', async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ sessions: 30, sessionsPerOwner: 1_000, newSessionsPerSecond: 1_000 })
  for (let n = 0; n < 200; n += 1) desk.call(target, `session-${n}`, `user-${n % 7}`)
  const { opened, refusals } = await desk.outcomes()
  assert.deepEqual([opened, refusals.length, (await desk.stored()).length], [30, 170, 30])
  assert.deepEqual(said(refusals[0]), [402, 'ServiceQuotaExceededException', undefined])
  assert.match(refusals[0]!.message, /probe has as many live sessions as it may have, 30 \(spec\.limits\.sessions\): stop some/)
  assert.deepEqual(new Set(desk.limited), new Set(['sessions']))

  desk.call(target, 'session-0', 'user-0')
  assert.equal((await desk.outcomes()).opened, 1, 'who has a session goes on with it')
})

test("an owner's limit is its own: another caller still opens", async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ sessionsPerOwner: 3, newSessionsPerSecond: 1_000 })
  for (let n = 0; n < 10; n += 1) desk.call(target, `session-${n}`, 'ada')
  desk.call(target, 'session-0', 'bob')
  const { opened, refusals } = await desk.outcomes()
  assert.deepEqual([opened, refusals.length], [4, 7])
  assert.match(refusals[0]!.message, /you have as many live sessions .* one caller may have, 3 \(spec\.limits\.sessionsPerOwner\)/)
  assert.deepEqual(new Set((await desk.stored()).map(({ spec }) => spec.owner.subject)), new Set(['ada', 'bob']))
})

test("sessions that are everybody's have no owner to limit", async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ sessionsPerOwner: 1, newSessionsPerSecond: 1_000 }, { sessionOwnership: 'Runtime' })
  for (let n = 0; n < 5; n += 1) desk.call(target, `session-${n}`)
  assert.equal((await desk.outcomes()).opened, 5)
})

test('a session that has ended makes room; to reopen it takes the room again', async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ sessions: 1 })
  desk.call(target, 'first')
  assert.equal((await desk.outcomes()).opened, 1)
  await desk.end((await desk.stored())[0]!)
  desk.call(target, 'second')
  assert.equal((await desk.outcomes()).opened, 1)
  desk.call(target, 'first')
  assert.deepEqual(said((await desk.outcomes()).refusals[0]), [402, 'ServiceQuotaExceededException', undefined])
  assert.deepEqual((await desk.stored()).map(({ spec }) => spec.incarnation).toSorted(), [1, 1])
  await desk.end((await desk.stored()).find(({ spec }) => spec.sessionId.startsWith('second'))!)
  desk.call(target, 'first')
  assert.equal((await desk.outcomes()).opened, 1)
  assert.deepEqual((await desk.stored()).map(({ spec }) => spec.incarnation).toSorted(), [1, 2])
})

test('new sessions beyond a second’s worth get 429 that says when; concurrent calls of one session count once', async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ newSessionsPerSecond: 10 })
  for (let n = 0; n < 50; n += 1) desk.call(target, 'the-same')
  for (let n = 0; n < 12; n += 1) desk.call(target, `session-${n}`)
  const { opened, refusals } = await desk.outcomes()
  assert.deepEqual([opened, refusals.length, (await desk.stored()).length], [59, 3, 10])
  assert.deepEqual(said(refusals[0]), [429, 'ThrottlingException', 100])
  assert.match(refusals[0]!.message, /at most 10 sessions a second .*spec\.limits\.newSessionsPerSecond.* after 100 ms/)
  desk.call(target, 'session-11')
  assert.equal((await desk.outcomes()).opened, 1)
})

test('a creation that fails gives its place back', async (t) => {
  const desk = await Desk.start(t)
  const target = await desk.runtime({ sessions: 1 })
  const identity = { runtimeName: 'probe', runtimeUID: target.runtime.metadata.uid!, endpoint: 'DEFAULT', sessionId: 's' }
  const wanted = {
    key: 'default/x',
    namespace: 'default',
    name: 'x',
    identity: { ...identity, owner: { kind: 'jwt', issuer: 'i', subject: 's' } },
  }
  const opening = desk.limits.opening(wanted, target.runtime)
  assert.throws(() => desk.limits.opening({ ...wanted, key: 'default/y' }, target.runtime), /spec\.limits\.sessions/)
  opening.done()
  desk.limits.opening({ ...wanted, key: 'default/y' }, target.runtime).done()
})

test('calls of one caller are limited on each runtime by itself, and the time that is told is exact', async (t) => {
  const desk = await Desk.start(t)
  const { runtime } = await desk.runtime({ callsPerSecondPerOwner: 3 })
  const ada = { kind: 'jwt', issuer: 'https://a.example', subject: 'ada' }
  const refusal = (owner = ada): GatewayError | undefined => {
    try {
      return desk.limits.call(runtime, owner) as undefined
    } catch (error) {
      return error as GatewayError
    }
  }
  assert.deepEqual([refusal(), refusal(), refusal()], [undefined, undefined, undefined])
  const refused = refusal()
  assert.deepEqual(said(refused), [429, 'ThrottlingException', 334])
  assert.equal(refusal({ ...ada, issuer: 'https://b.example' }), undefined, 'the same subject of another issuer is another caller')
  await desk.clock.run(desk.clock.monotonic() + 333)
  assert.equal(refusal()!.extras.retryAfterMs, 1)
  await desk.clock.run(desk.clock.monotonic() + 1)
  assert.equal(refusal(), undefined)
  assert.deepEqual(new Set(desk.limited), new Set(['callsPerSecondPerOwner']))
})

test('a bucket gives its rate over any length of time, and never more than a second’s worth at once', async () => {
  const random = seededRandom('rates')
  for (const perSecond of [1, 3, 7, 25, 100]) {
    const clock = new VirtualClock(random)
    const buckets = new Buckets(clock)
    let taken = 0
    for (let step = 0; step < 400; step += 1) {
      await clock.run(clock.monotonic() + random.fraction() * 60)
      for (let tries = 0; tries < 5; tries += 1) {
        const waitMs = buckets.take('k', perSecond)
        if (waitMs === undefined) taken += 1
        else assert.ok(waitMs >= 1 && waitMs <= Math.ceil(1_000 / perSecond), `${waitMs} ms at ${perSecond} a second`)
      }
      assert.ok(taken <= perSecond + (clock.monotonic() / 1_000) * perSecond, 'over the rate')
    }
    if (perSecond <= 25) assert.ok(taken >= Math.floor((clock.monotonic() / 1_000) * perSecond) - 1, 'under the rate')
  }
})

test('buckets are forgotten when they are full again, and bounded in number under a flood of keys', async () => {
  const clock = new VirtualClock(seededRandom(1))
  const buckets = new Buckets(clock)
  for (let n = 0; n < 12_000; n += 1) buckets.take(`key-${n}`, 1)
  assert.equal(buckets.size, 10_000)
  assert.equal(buckets.take('key-11999', 1), 1_000, 'the newest is remembered')
  await clock.run(1_001)
  buckets.take('another', 1)
  assert.equal(buckets.size, 1)
})
