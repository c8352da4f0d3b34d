import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { SESSION_HEADER, invocationPath, newSessionId } from '../kit/raw-gateway.ts'

interface Boot {
  boot: string
  pid: number
  memory?: unknown
}

everywhere(
  'a stop ends every descendant within 5 s, though a stream is open and a child ignores SIGTERM; the next call, made at once, opens incarnation 2',
  async (t) => {
    const installation = await Installation.start(t)
    const { gateway } = installation
    const arn = await installation.apply(runtimeManifest('probe'))
    const sessionId = newSessionId()
    const first = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
    await gateway.ask(arn, sessionId, { do: 'remember', value: 'secret' })
    const stubborn = await gateway.ask<{ pid: number }>(arn, sessionId, { do: 'stubborn' })
    const stream = gateway.invoke(arn, sessionId, { do: 'stream', key: 'never', chunks: 5 }).then(
      () => 'ended cleanly',
      () => 'broke off',
    )
    await eventually(async () => (await gateway.ask<{ known: boolean }>(arn, sessionId, { do: 'ack', key: 'never', upTo: 0 })).known, {
      withinMs: 10_000,
      because: 'the stream is open',
    })

    const processes = [await installation.pidHere(sessionId, first.pid), await installation.pidHere(sessionId, stubborn.pid)]
    const stoppedAt = performance.now()
    assert.equal((await gateway.stop(arn, sessionId)).status, 200)
    const second = await gateway.ask<Boot>(arn, sessionId, { do: 'recall' })
    assert.notEqual(second.boot, first.boot)
    assert.equal(second.memory, null, 'its memory is empty')
    assert.equal((await installation.session(sessionId))?.spec.incarnation, 2)
    await eventually(() => !processes.some(isAlive), {
      withinMs: 5_000 - (performance.now() - stoppedAt),
      because: 'every descendant is gone',
    })
    assert.equal(await stream, 'broke off', 'a stopped stream has no clean end')
  },
)

everywhere('a repeated stop is the same stop by its client token; a stop of an ended session is 404', async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  await gateway.ask(arn, sessionId, { do: 'boot' })
  const token = 'client-token-'.padEnd(40, 'x')
  assert.equal((await gateway.stop(arn, sessionId, token)).status, 200)
  assert.equal((await gateway.stop(arn, sessionId, token)).status, 200)
  await gateway.ask(arn, sessionId, { do: 'boot' })
  assert.equal((await gateway.stop(arn, sessionId, token)).status, 200, 'a late retry of the first stop')
  assert.equal((await installation.session(sessionId))?.spec.stopThrough, 1, 'does not stop the second incarnation')
  await gateway.stop(arn, sessionId)
  const ended = await gateway.stop(arn, sessionId)
  assert.equal(ended.status, 404)
  assert.equal(ended.headers['x-amzn-errortype'], 'ResourceNotFoundException')
})

everywhere('a caller that goes away does not end the work: the answer is drained, and counts as open until its end', async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: 2 }))
  const sessionId = newSessionId()
  const first = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  const agent = await installation.pidHere(sessionId, first.pid)
  const order = {
    path: invocationPath(arn),
    headers: { [SESSION_HEADER]: sessionId, 'content-type': 'application/json' },
    body: '{"do":"sleep","ms":5000}',
  }
  const headers = await gateway.sign(order)
  const socket = gateway.open()
  socket.write(
    `POST ${order.path} HTTP/1.1\r\n${Object.entries({ ...headers, 'content-length': String(order.body.length) })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n${order.body}`,
  )
  await new Promise((resolve) => setTimeout(resolve, 300))
  socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 4_000))
  assert.ok(isAlive(agent), 'two idle windows later the call still holds it open')
  await eventually(async () => (await installation.session(sessionId))?.status?.endReason === 'IdleTimeout', {
    withinMs: 6_000,
    because: 'and it idles out after the work',
  })
})

/** A zombie that init has not reaped yet is dead. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}
