import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { isReached, reachedFromOutside } from '../kit/dial.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest, type ManifestOptions } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { pythonProject } from '../kit/python-project.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

const AGENT = join(import.meta.dirname, '..', 'agents', 'python-probe')
const STOPPED_WITHIN_MS = 5_000

interface Answer {
  boot: string
  pid: number
  memory: string | null
  /** How many it has begun. */
  streams: number
  sessionId: string
}

interface Fixture {
  installation: Installation
  arn: string
  sessionId: string
  ask(order: object): Promise<Answer>
}

/** An installation with a runtime on the Python SDK. */
async function fixture(t: TestContext, options: ManifestOptions = {}): Promise<Fixture | undefined> {
  const python = needs(t, 'CARREL_TEST_PYTHON')
  if (!python) return undefined
  const installation = await Installation.start(t)
  const directory = pythonProject(t, AGENT, python)
  const arn = await installation.apply(runtimeManifest('probe', { agent: 'python-probe', directory, ...options }))
  const sessionId = newSessionId()
  return { installation, arn, sessionId, ask: (order) => installation.gateway.ask<Answer>(arn, sessionId, order) }
}

everywhere('a stop ends an agent whose server would wait for its open stream, within 5 s; the next call opens incarnation 2', async (t) => {
  const f = await fixture(t)
  if (!f) return
  const { installation, arn, sessionId, ask } = f
  const first = await ask({ do: 'remember', value: 'secret' })
  const agent = await installation.pidHere(sessionId, first.pid)
  const stream = installation.gateway.invoke(arn, sessionId, { do: 'stream', chunks: 1_000, everyMs: 100 }).then(
    () => 'ended cleanly',
    () => 'broke off',
  )
  await eventually(async () => (await ask({ do: 'boot' })).streams === 1, { withinMs: 10_000, because: 'the stream is open' })
  const stoppedAt = performance.now()
  assert.equal((await installation.gateway.stop(arn, sessionId)).status, 200)
  const second = await ask({ do: 'boot' })
  assert.deepEqual([second.boot === first.boot, second.memory], [false, null])
  await eventually(() => !installation.agents().includes(agent), {
    withinMs: STOPPED_WITHIN_MS - (performance.now() - stoppedAt),
    because: 'the first process is gone',
  })
  assert.equal(await stream, 'broke off')
})

everywhere(
  'a call that blocks the event loop is work: pings that time out meanwhile are no misses, and idle time does not run',
  async (t) => {
    const f = await fixture(t, { idleTimeoutSeconds: 2 })
    if (!f) return
    const { boot } = await f.ask({ do: 'boot' })
    const blocked = await f.ask({ do: 'block', ms: 9_000 })
    assert.equal(blocked.boot, boot)
    assert.equal((await f.ask({ do: 'boot' })).boot, boot, 'the session is the same afterwards')
  },
)

everywhere('HealthyBusy of the SDK holds a session over its idle time; without it the session idles out', async (t) => {
  const f = await fixture(t, { idleTimeoutSeconds: 2 })
  if (!f) return
  const { boot } = await f.ask({ do: 'ping', status: 'HealthyBusy' })
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  assert.equal((await f.ask({ do: 'ping', status: 'Healthy' })).boot, boot)
  await eventually(async () => (await f.installation.session(f.sessionId))?.status?.endReason === 'IdleTimeout', {
    withinMs: 8_000,
    because: 'it idles out',
  })
})

everywhere('a second port of a Python agent on every address is moved to the session', async (t) => {
  const f = await fixture(t)
  if (!f) return
  const { installation, arn, sessionId } = f
  await f.ask({ do: 'boot' })
  const address = await installation.addressOf(sessionId)
  for (const host of ['0.0.0.0', '::']) {
    const port = await freePort()
    const answer = await installation.gateway.invoke(arn, sessionId, { do: 'listen', host, port })
    assert.equal(answer.status, 200, answer.body)
    assert.ok(await isReached(address, port), `${host}: ${answer.body}`)
    assert.deepEqual(await reachedFromOutside([port, 8080]), [], host)
  }
})
