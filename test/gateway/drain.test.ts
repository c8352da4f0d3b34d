import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { SESSION_HEADER, invocationPath, newSessionId } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { ARN, serve } from './served.ts'

const within = { withinMs: 10_000 }

test('/healthz and /readyz answer without credentials, to GET only', async (t) => {
  const served = await serve(t)
  const ask = async (path: string): Promise<number> => (await fetch(new URL(path, served.url))).status
  assert.deepEqual([await ask('/healthz'), await ask('/readyz')], [200, 200])
  assert.equal((await fetch(new URL('/readyz', served.url), { method: 'POST' })).status, 405)
})

test('a drain lets the open call end, refuses a new one on an open connection, and takes no connection more', async (t) => {
  let response: ServerResponse | undefined
  const served = await serve(t, (_request, answer) => void (response = answer.writeHead(200)).write('first'))
  const open = served.raw.invoke(ARN, newSessionId(), {})
  await eventually(() => response, { ...within, because: 'the agent has the call' })
  const kept = served.raw.open()
  const chunks: Buffer[] = []
  kept.on('data', (chunk: Buffer) => chunks.push(chunk))
  const path = invocationPath(ARN)
  const headers = await served.raw.sign({ path, headers: { [SESSION_HEADER]: newSessionId() }, body: '{}' })
  kept.write(`POST ${path} HTTP/1.1\r\n`)
  await eventually(() => kept.readyState === 'open', { ...within, because: 'it is connected' })
  const drained = served.gateway.drain(60_000)
  await eventually(
    () =>
      served.raw.invoke(ARN, newSessionId(), {}).then(
        () => false,
        () => true,
      ),
    { ...within, because: 'no new connection is taken' },
  )
  kept.write(
    `${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}content-length: 2\r\n\r\n{}`,
  )
  await eventually(() => chunks.length > 0 || kept.destroyed, { ...within, because: 'the late call is answered or cut' })
  if (chunks.length > 0) assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1.1 429 [^]*retry-after: 1[^]*is stopping/i)
  response!.end('last')
  assert.equal((await open).body, 'firstlast')
  await drained
  assert.equal(served.gateway.open, 0)
})

test('a call that does not end within the grace is broken off', async (t) => {
  const served = await serve(t, (_request, response) => void response.writeHead(200).write('first'))
  const open = served.raw.invoke(ARN, newSessionId(), {})
  await eventually(() => served.reached.length === 1, { ...within, because: 'the agent has the call' })
  await served.gateway.drain(100)
  await assert.rejects(open)
  assert.equal(served.gateway.open, 0)
})

test('a gateway whose tables are not complete is alive, not ready, and answers 429', async (t) => {
  const served = await serve(t, undefined, { ready: new Promise(() => {}) })
  assert.deepEqual(
    [(await fetch(new URL('/healthz', served.url))).status, (await fetch(new URL('/readyz', served.url))).status],
    [200, 503],
  )
  const answer = await served.raw.invoke(ARN, newSessionId(), {})
  assert.deepEqual([errorOf(answer).type, answer.headers['x-amz-retry-after']], ['ThrottlingException', '1000'])
})
