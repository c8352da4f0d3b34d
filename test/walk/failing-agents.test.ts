import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId, readAll } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { sharedFolder } from '../kit/shared-folder.ts'
import { errorOf, thrownBySdk } from '../kit/wire-error.ts'

interface Boot {
  boot: string
}

/** What each failure of an agent gets. */
const FAILED = [424, 'RuntimeClientError'] as const
const TOLD_WITHIN_MS = 2_000
/** What this test itself may be late in seeing it on a busy machine. */
const SEEN_MS = 1_000

/** The story that is kept of a session's end: its record, its condition and its event. */
async function storyOf(
  installation: Installation,
  sessionId: string,
): Promise<{ session: AgentSession; condition: string; event: string }> {
  return eventually(
    async () => {
      const session = await installation.session(sessionId)
      const ready = session?.status?.conditions?.find(({ type }) => type === 'Ready')
      if (session?.status?.phase !== 'Terminated' || ready?.status !== 'False') return undefined
      const { body } = await installation.api.call<{
        items: { reason: string; message?: string; note?: string; involvedObject?: { uid: string }; regarding?: { uid: string } }[]
      }>('GET', '/api/v1/namespaces/default/events')
      const event = body.items.find(
        (each) => each.reason === session.status!.endReason && (each.involvedObject ?? each.regarding)?.uid === session.metadata.uid,
      )
      return event && { session, condition: `${ready.reason}: ${ready.message}`, event: event.message ?? event.note ?? '' }
    },
    { withinMs: 10_000, because: 'the end of the session is told in its status and in an event' },
  )
}

/** A session whose agent has been seen to be healthy: from here its exit is no failed start. */
async function running(installation: Installation, arn: string): Promise<{ sessionId: string; boot: string }> {
  const sessionId = newSessionId()
  const { boot } = await installation.gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  await eventually(async () => (await installation.session(sessionId))?.status?.phase === 'Running', {
    withinMs: 10_000,
    because: 'it runs',
  })
  return { sessionId, boot }
}

everywhere(
  'an agent that answers 400, 404, 500 or a redirect: 424 with its status; the redirect is not followed, and the session lives on',
  async (t) => {
    const installation = await Installation.start(t)
    const { gateway } = installation
    let strayed = 0
    const elsewhere = createServer((_request, response) => response.end(String((strayed += 1))))
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
    t.after(() => elsewhere.close())
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`

    const arn = await installation.apply(runtimeManifest('probe'))
    const sessionId = newSessionId()
    const { boot } = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
    for (const code of [400, 404, 500, 301, 302, 307]) {
      const answer = await gateway.invoke(arn, sessionId, { do: 'status', code, location })
      const error = errorOf(answer)
      assert.deepEqual([error.status, error.type], FAILED, String(code))
      assert.match(error.message, new RegExp(`\\(${code}\\) from runtime.*kubectl logs`))
      for (const name of ['location', 'set-cookie']) assert.equal(answer.headers[name], undefined, name)
    }
    const payload = Buffer.from('{"do":"status","code":500}')
    const thrown = await thrownBySdk(
      installation.client().send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId: sessionId, payload })),
    )
    assert.deepEqual([thrown.status, thrown.type], FAILED)
    assert.equal((await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })).boot, boot)
    assert.equal(strayed, 0)
  },
)

everywhere(
  'an agent that exits at start: 424 within 2 s of the exit with its code and last lines; the session keeps the same story',
  async (t) => {
    const installation = await Installation.start(t)
    const folder = sharedFolder(t)
    const arn = await installation.apply(runtimeManifest('giving-up', { environment: { EXIT_AT_START: '3', BOOT_DIR: folder } }))
    const sessionId = newSessionId()
    const error = errorOf(await installation.gateway.invoke(arn, sessionId, { do: 'boot' }))
    const toldAtMs = Date.now()
    const [boot] = readdirSync(folder)
    const exitedAtMs = statSync(join(folder, boot!)).mtimeMs
    assert.ok(toldAtMs - exitedAtMs <= TOLD_WITHIN_MS + SEEN_MS, `told ${toldAtMs - exitedAtMs} ms after it`)
    assert.deepEqual([error.status, error.type], FAILED)
    for (const part of [/StartFailed/, /exit(ed with)? code 3/, /about to give up/, /the model file is missing/])
      assert.match(error.message, part)

    const { session, condition, event } = await storyOf(installation, sessionId)
    assert.equal(session.status!.endReason, 'StartFailed')
    for (const part of [/exit(ed with)? code 3/, /about to give up/, /the model file is missing/]) {
      assert.match(condition, part)
      assert.match(event, part)
    }
    assert.equal(installation.agents().length, 0)

    const python = needs(t, 'CARREL_TEST_PYTHON')
    if (!python) return
    const calls = [{ operation: 'invoke_agent_runtime', parameters: { agentRuntimeArn: arn, runtimeSessionId: sessionId, payload: '{}' } }]
    const [raised] = await installation.python<{ class: string; status: number; message: string }[]>(
      python,
      join(import.meta.dirname, 'boto', 'refusals.py'),
      JSON.stringify(calls),
    )
    assert.deepEqual([raised!.status, raised!.class], FAILED)
    assert.match(raised!.message, /the model file is missing/)
    assert.equal(readdirSync(folder).length, 2, 'the next call of the id tried once more')
  },
)

everywhere('a command that is not there: 424 that names it', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('absent', { command: ['no-such-program', '--flag'] }))
  const sessionId = newSessionId()
  const startedAt = performance.now()
  const error = errorOf(await installation.gateway.invoke(arn, sessionId, { do: 'boot' }))
  assert.ok(performance.now() - startedAt < TOLD_WITHIN_MS + 2 * SEEN_MS)
  assert.deepEqual([error.status, error.type], FAILED)
  assert.match(error.message, /StartFailed.*no-such-program/s)
  const { session, condition, event } = await storyOf(installation, sessionId)
  assert.equal(session.status!.endReason, 'StartFailed')
  assert.match(condition, /no-such-program/)
  assert.match(event, /no-such-program/)
})

everywhere('an agent that never listens: 424 once startTimeoutSeconds are over, and its process is gone', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('deaf', { environment: { NEVER_LISTEN: '1' }, startTimeoutSeconds: 2 }))
  const sessionId = newSessionId()
  const startedAt = performance.now()
  const error = errorOf(await installation.gateway.invoke(arn, sessionId, { do: 'boot' }))
  const tookMs = performance.now() - startedAt
  assert.deepEqual([error.status, error.type], FAILED)
  assert.match(error.message, /StartFailed.*2 s \(spec\.startTimeoutSeconds\)/s)
  assert.ok(tookMs >= 2_000 && tookMs < 2_000 + TOLD_WITHIN_MS + SEEN_MS, `${tookMs} ms`)
  assert.equal((await storyOf(installation, sessionId)).session.status!.endReason, 'StartFailed')
  await eventually(() => installation.agents().length === 0, { withinMs: 10_000, because: 'nothing of it is left' })
})

everywhere(
  'an agent that dies in mid-stream breaks the stream visibly, after what it had sent; the next call opens incarnation 2',
  async (t) => {
    const installation = await Installation.start(t)
    const { gateway } = installation
    const arn = await installation.apply(runtimeManifest('probe'))
    const { sessionId, boot } = await running(installation, arn)

    const order = JSON.stringify({ do: 'dribble', everyMs: 50, chunks: 100, dieAfter: 4 })
    const headers = await gateway.sign({ path: invocationPath(arn), headers: { [SESSION_HEADER]: sessionId }, body: order })
    const socket = gateway.open()
    socket.write(
      `POST ${invocationPath(arn)} HTTP/1.1\r\n${Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}content-length: ${order.length}\r\n\r\n${order}`,
    )
    const received = (await readAll(socket)).toString('latin1')
    assert.match(received, /^HTTP\/1\.1 200 /)
    assert.match(received, /data: 1\n\n[^]*data: 3\n\n/)
    assert.doesNotMatch(received, /\r\n0\r\n\r\n$/, 'no clean end')

    const { session } = await storyOf(installation, sessionId)
    assert.equal(session.status!.endReason, 'AgentExited')
    assert.match(session.status!.endMessage!, /9/)
    const next = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
    assert.notEqual(next.boot, boot)
    assert.equal((await installation.session(sessionId))!.spec.incarnation, 2)
  },
)

everywhere('the SDKs see a stream that breaks as an error, not as an end', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const payload = Buffer.from('{"do":"dribble","everyMs":50,"chunks":100,"dieAfter":4}')
  const { response } = await installation
    .client()
    .send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId: newSessionId(), payload }))
  await assert.rejects(response!.transformToString(), /aborted|terminated|socket/i)
})

everywhere('an agent that exits instead of answering: 424 that says so, and the next call opens incarnation 2', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const { sessionId, boot } = await running(installation, arn)
  const error = errorOf(await installation.gateway.invoke(arn, sessionId, { do: 'exit', code: 7 }))
  assert.deepEqual([error.status, error.type], FAILED)
  assert.match(error.message, /AgentExited|closed the connection/)
  const { session } = await storyOf(installation, sessionId)
  assert.equal(session.status!.endReason, 'AgentExited')
  assert.match(session.status!.endMessage!, /7/)
  assert.notEqual((await installation.gateway.ask<Boot>(arn, sessionId, { do: 'boot' })).boot, boot)
  assert.equal((await installation.session(sessionId))!.spec.incarnation, 2)
})

everywhere('afterwards nothing is left of sessions that failed: objects, processes and files are those of before', async (t) => {
  const installation = await Installation.start(t, { args: ['--session-ttl', '1'] })
  const before = await installation.remains()
  const runtimes = {
    'giving-up': runtimeManifest('giving-up', { environment: { EXIT_AT_START: '3' } }),
    absent: runtimeManifest('absent', { command: ['no-such-program'] }),
    deaf: runtimeManifest('deaf', { environment: { NEVER_LISTEN: '1' }, startTimeoutSeconds: 1 }),
  }
  for (const manifest of Object.values(runtimes)) {
    const arn = await installation.apply(manifest)
    assert.equal((await installation.gateway.invoke(arn, newSessionId(), { do: 'boot' })).status, 424)
  }
  const arn = await installation.apply(runtimeManifest('probe'))
  const dying = newSessionId()
  await assert.rejects(installation.gateway.invoke(arn, dying, { do: 'dribble', everyMs: 20, chunks: 100, dieAfter: 3 }))
  assert.equal((await installation.gateway.invoke(arn, 'x'.repeat(32), { do: 'boot' })).status, 400)
  await eventually(async () => (await installation.sessions()).length === 0, {
    withinMs: 20_000,
    because: 'ended sessions are removed after their TTL',
  })
  for (const name of [...Object.keys(runtimes), 'probe']) {
    await installation.api.call('DELETE', `/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/${name}`)
  }
  await eventually(async () => assert.deepEqual(await installation.remains(), before) === undefined, {
    withinMs: 10_000,
    because: 'all is as before',
  })
})
