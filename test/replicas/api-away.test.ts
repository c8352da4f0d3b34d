/**
 * Live sessions need neither the API server nor an operator: their calls go on while it is away. New ones are told to come
 * again, and work again soon after its return.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { lendPlane } from '../kit/planes.ts'
import { newSessionId, type RawAnswer } from '../kit/raw-gateway.ts'
import { lendRedis } from '../kit/redises.ts'
import { needs } from '../kit/ring.ts'
import { errorOf } from '../kit/wire-error.ts'
import { paused } from './kit.ts'

const SESSIONS = 20
const CALLS_PER_SECOND = 50
const AWAY_MS = 60_000
const BACK_WITHIN_MS = 5_000
/** A caller that opens a session meanwhile has its refusal by then, also when the server only hangs (8 s are given to each request). */
const REFUSED_WITHIN_MS = 12_000
/** Sessions opened at once at the start; each is a process. */
const OPENED_AT_ONCE = 4
const SEEN_MS = 500

interface Boot {
  boot: string
}

test(
  'the API server is killed for 60 s under 50 calls a second on 20 live sessions: none fails, new sessions are told to wait',
  { timeout: 240_000 },
  async (t) => {
    if (!needs(t, 'CARREL_TEST_CONTROL_PLANE') || !needs(t, 'CARREL_TEST_REDIS')) return
    const surroundings = { plane: await lendPlane(), redis: await lendRedis() }
    const installation = await LocalInstallation.start(t, { place: 'replicas', surroundings })
    const { gateway } = installation
    const { plane } = surroundings.plane
    const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: 10 }))
    const boots = await openSessions(installation, arn)

    const load = new Load((sessionId) => gateway.invoke(arn, sessionId, { do: 'recall' }), boots)
    const loading = load.run()
    await wait(2_000)
    await plane.stopApiServer('SIGKILL')
    const goneAtMs = performance.now()

    const refused: Timed[] = []
    while (performance.now() - goneAtMs < AWAY_MS) {
      refused.push(await timed(() => gateway.invoke(arn, newSessionId(), { do: 'boot' })))
      await wait(1_000)
    }
    await plane.startApiServer()
    const backAtMs = performance.now()
    await eventually(async () => (await gateway.invoke(arn, newSessionId(), { do: 'boot' })).status === 200, {
      withinMs: 60_000,
      because: 'a new session opens again',
    })
    const worksAfterMs = performance.now() - backAtMs
    await wait(2_000)
    const hung = await whilePaused(plane.pids.apiServer, () => timed(() => gateway.invoke(arn, newSessionId(), { do: 'boot' })))
    load.stop()
    await loading

    t.diagnostic(
      `${load.calls} calls, slowest ${Math.round(load.slowestMs)} ms; ${refused.length} refusals, slowest ${Math.round(Math.max(...refused.map(({ tookMs }) => tookMs)))} ms, that of a server that hangs ${Math.round(hung.tookMs)} ms; a new session works ${Math.round(worksAfterMs)} ms after the return`,
    )
    assert.deepEqual(load.failures, [])
    assert.ok(load.calls >= (AWAY_MS / 1_000) * CALLS_PER_SECOND, `only ${load.calls} calls were made`)
    assert.ok(refused.length >= AWAY_MS / (1_000 + REFUSED_WITHIN_MS), `only ${refused.length} new sessions were tried`)
    for (const { answer, tookMs } of [...refused, hung]) {
      assert.equal(answer.status, 429, answer.body)
      assert.equal(errorOf(answer).type, 'ThrottlingException')
      assert.match(answer.headers['retry-after']!, /^[1-9]\d*$/)
      assert.match(answer.headers['x-amz-retry-after']!, /^[1-9]\d*$/)
      assert.ok(tookMs <= REFUSED_WITHIN_MS, `a refusal took ${tookMs} ms`)
    }
    assert.ok(worksAfterMs <= BACK_WITHIN_MS + SEEN_MS, `a new session works ${worksAfterMs} ms after the API server's return`)
  },
)

interface Timed {
  answer: RawAnswer
  tookMs: number
}

async function timed(call: () => Promise<RawAnswer>): Promise<Timed> {
  const askedAtMs = performance.now()
  return { answer: await call(), tookMs: performance.now() - askedAtMs }
}

async function whilePaused<Value>(pid: number, act: () => Promise<Value>): Promise<Value> {
  try {
    await paused(pid)
    return await act()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** Session id → nonce of the agent that answers for it. */
async function openSessions(installation: LocalInstallation, arn: string): Promise<Map<string, string>> {
  const boots = new Map<string, string>()
  for (let opened = 0; opened < SESSIONS; opened += OPENED_AT_ONCE) {
    await Promise.all(
      Array.from({ length: OPENED_AT_ONCE }, async () => {
        const sessionId = newSessionId()
        boots.set(sessionId, (await installation.gateway.ask<Boot>(arn, sessionId, { do: 'recall' })).boot)
      }),
    )
  }
  await eventually(async () => (await installation.sessions()).filter(({ status }) => status?.phase === 'Running').length === SESSIONS, {
    withinMs: 20_000,
    because: 'all sessions run',
  })
  return boots
}

/** Calls at a steady rate, whatever becomes of the earlier ones, on each session in turn; each must reach the same agent as ever. */
class Load {
  calls = 0
  slowestMs = 0
  readonly failures: string[] = []
  readonly #call: (sessionId: string) => Promise<RawAnswer>
  readonly #boots: ReadonlyMap<string, string>
  #isOver = false

  constructor(call: (sessionId: string) => Promise<RawAnswer>, boots: ReadonlyMap<string, string>) {
    this.#call = call
    this.#boots = boots
  }

  stop(): void {
    this.#isOver = true
  }

  /** Resolves when it was stopped and every call has its answer. */
  async run(): Promise<void> {
    const sessions = [...this.#boots.keys()]
    const startedAtMs = performance.now()
    const open: Promise<void>[] = []
    while (!this.#isOver) {
      const due = Math.floor(((performance.now() - startedAtMs) * CALLS_PER_SECOND) / 1_000)
      for (; this.calls < due; this.calls += 1) open.push(this.#one(sessions[this.calls % sessions.length]!))
      await wait(1_000 / CALLS_PER_SECOND)
    }
    await Promise.all(open)
  }

  async #one(sessionId: string): Promise<void> {
    const askedAtMs = performance.now()
    const failure = await this.#call(sessionId).then(
      ({ status, body }) =>
        status === 200 && (JSON.parse(body) as Boot).boot === this.#boots.get(sessionId) ? undefined : `${status} ${body}`,
      (error: unknown) => String(error),
    )
    this.slowestMs = Math.max(this.slowestMs, performance.now() - askedAtMs)
    if (failure) this.failures.push(failure)
  }
}
