import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'

const IDLE_SECONDS = 2
/** Latest end after the deadline, and what this test itself may be late in seeing it on a busy machine. */
const LATE_MS = 1_000
const SEEN_MS = 500

/** When the session began to end, on this test's clock, and why. */
async function ending(installation: Installation, sessionId: string, withinMs: number): Promise<{ atMs: number; reason: string }> {
  return eventually(
    async () => {
      const session = await installation.session(sessionId)
      const ended = session?.status?.phase === 'Terminating' || session?.status?.phase === 'Terminated'
      return ended && { atMs: performance.now(), reason: session.status!.endReason! }
    },
    { withinMs, everyMs: 20, because: 'the session ends' },
  )
}

everywhere('idle: never before the time is up since the last response byte, and at most 1 s after it', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: IDLE_SECONDS }))
  const sessionId = newSessionId()
  await installation.gateway.ask(arn, sessionId, { do: 'boot' })
  await wait(1_500)
  await installation.gateway.ask(arn, sessionId, { do: 'dribble', chunks: 5, everyMs: 100 }).catch(() => {})
  const lastByteAt = performance.now()
  const end = await ending(installation, sessionId, 10_000)
  assert.equal(end.reason, 'IdleTimeout')
  const afterMs = end.atMs - lastByteAt
  assert.ok(afterMs >= IDLE_SECONDS * 1000, `${afterMs} ms is early`)
  assert.ok(afterMs <= IDLE_SECONDS * 1000 + LATE_MS + SEEN_MS, `${afterMs} ms is late`)
})

everywhere('an open stream holds a session over its idle time', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: 1 }))
  const sessionId = newSessionId()
  const answer = await installation.gateway.invoke(arn, sessionId, { do: 'dribble', chunks: 5, everyMs: 1_000 })
  assert.equal(answer.body.match(/data:/g)?.length, 5, 'nothing was cut off')
  const end = await ending(installation, sessionId, 5_000)
  assert.equal(end.reason, 'IdleTimeout')
})

everywhere('HealthyBusy holds a session; once it is Healthy again the idle time runs', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: IDLE_SECONDS }))
  const sessionId = newSessionId()
  await installation.gateway.ask(arn, sessionId, { do: 'ping', status: 'HealthyBusy' })
  await wait(IDLE_SECONDS * 1000 + 4_500)
  assert.equal((await installation.session(sessionId))?.status?.phase, 'Running')
  await installation.gateway.ask(arn, sessionId, { do: 'ping', status: 'Healthy' })
  assert.equal((await ending(installation, sessionId, 8_000)).reason, 'IdleTimeout')
})

everywhere('a time_of_last_update that moves with every ping keeps nothing alive', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: IDLE_SECONDS }))
  const sessionId = newSessionId()
  await installation.gateway.ask(arn, sessionId, { do: 'ping', moving: true })
  assert.equal((await ending(installation, sessionId, IDLE_SECONDS * 1000 + LATE_MS + 2_000)).reason, 'IdleTimeout')
})

everywhere(
  'the lifetime ends a session with a stream open on it, not before startedAt + maxLifetimeSeconds and at most 1 s after',
  async (t) => {
    const installation = await Installation.start(t)
    const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: 3, maxLifetimeSeconds: 4 }))
    const sessionId = newSessionId()
    const stream = installation.gateway.invoke(arn, sessionId, { do: 'dribble', chunks: 100, everyMs: 100 }).then(
      () => 'ended cleanly',
      () => 'broke off',
    )
    const { status } = await eventually(
      async () => {
        const session = await installation.session(sessionId)
        return session?.status?.startedAt ? session : undefined
      },
      { withinMs: 10_000, because: 'it has started' },
    )
    const end = await ending(installation, sessionId, 10_000)
    const afterMs = performance.timeOrigin + end.atMs - Date.parse(status!.startedAt!)
    assert.equal(end.reason, 'MaxLifetime')
    assert.ok(afterMs >= 4_000, `${afterMs} ms is early`)
    assert.ok(afterMs <= 4_000 + LATE_MS + SEEN_MS, `${afterMs} ms is late`)
    assert.equal(await stream, 'broke off')
  },
)

everywhere('an agent whose ping turns 500 is ended as Unhealthy after three misses, and its next call works', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const first = await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
  await eventually(async () => (await installation.session(sessionId))?.status?.phase === 'Running', {
    withinMs: 10_000,
    because: 'a first good ping is seen',
  })
  await installation.gateway.ask(arn, sessionId, { do: 'ping', code: 500 })
  assert.equal((await ending(installation, sessionId, 12_000)).reason, 'Unhealthy')
  assert.match((await installation.session(sessionId))!.status!.endMessage!, /3 pings in a row failed.*500/)
  const next = await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
  assert.notEqual(next.boot, first.boot)
})
