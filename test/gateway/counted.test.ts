import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SESSION_HEADER, invocationPath, newSessionId } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'
import { eventually } from '../kit/eventually.ts'
import { ARN, serve, type Served } from './served.ts'

const PATH = invocationPath(ARN)

/** Series that are not 0, of one metric. */
async function counted({ metrics }: Pick<Served, 'metrics'>, name: string): Promise<Record<string, number>> {
  const lines = (await metrics.exposition()).text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  const series = lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))] as const)
  return Object.fromEntries(series.filter(([, value]) => value !== 0))
}

test('calls beyond the rate get 429 with both headers, before any byte reaches the agent', async (t) => {
  const served = await serve(t)
  served.sessions.runtime.spec.limits.callsPerSecondPerOwner = 1
  assert.equal((await served.raw.invoke(ARN, newSessionId(), {})).status, 200)
  const refused = await served.raw.invoke(ARN, newSessionId(), {})
  const retryAfterMs = Number(refused.headers['x-amz-retry-after'])
  assert.deepEqual([errorOf(refused).status, errorOf(refused).type, refused.headers['retry-after']], [429, 'ThrottlingException', '1'])
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 1_000, `${retryAfterMs} ms`)
  assert.deepEqual([served.reached.length, served.sessions.entered.length], [1, 1])
  await eventually(async () => (await served.raw.invoke(ARN, newSessionId(), {})).status === 200, {
    withinMs: 10_000,
    because: 'a second has passed',
  })
  assert.ok((await counted(served, 'carrel_gateway_limited_total'))['{limit="callsPerSecondPerOwner"}']! >= 1)
})

test('requests are counted by operation and status, refusals by who sent them, and none stays in flight', async (t) => {
  const rights = {
    may: async (user: { name: string }) => ({ answer: user.name !== 'ada', stale: false }),
  }
  const served = await serve(t, undefined, { rights })
  const send = (change: object): Promise<unknown> =>
    served.raw.send({
      path: PATH,
      headers: { [SESSION_HEADER]: newSessionId() },
      body: '{}',
      ...change,
    })
  await send({})
  await send({ keys: { secretAccessKey: 'guess' } })
  await served.raw.exchange('POST', PATH, { host: served.raw.url.host }, '{}')
  await served.raw.exchange('POST', PATH, { host: served.raw.url.host, authorization: 'Bearer someone.elses' }, '{}')
  await fetch(`${served.url}/healthz`)
  await fetch(`${served.url}/nowhere`)
  await eventually(() => served.gateway.open === 0, {
    withinMs: 10_000,
    because: 'all have ended',
  })
  assert.deepEqual(await counted(served, 'carrel_gateway_requests_in_flight'), {})
  assert.deepEqual(await counted(served, 'carrel_gateway_requests_total'), {
    '{operation="InvokeAgentRuntime",code="403"}': 4,
    '{operation="GetHealth",code="200"}': 1,
    '{operation="Unknown",code="404"}': 1,
  })
  assert.deepEqual(await counted(served, 'carrel_gateway_auth_failures_total'), {
    '{method="sigv4",reason="rights"}': 1,
    '{method="sigv4",reason="credentials"}': 1,
    '{method="none",reason="credentials"}': 1,
    '{method="serviceaccount",reason="credentials"}': 1,
  })
})

test('what is held of payloads, and connections to agents, are told as they are', async (t) => {
  let release: (() => void) | undefined
  const served = await serve(t, (request, response) => void request.resume().on('end', () => (release = () => void response.end('ok'))))
  const open = served.raw.send({
    path: PATH,
    headers: { [SESSION_HEADER]: newSessionId() },
    body: Buffer.alloc(300_000),
  })
  await eventually(() => release, { withinMs: 10_000, because: 'the agent has the call' })
  assert.deepEqual(await counted(served, 'carrel_gateway_spooled_bytes'), {
    '{place="disk"}': 300_000,
  })
  assert.deepEqual(await counted(served, 'carrel_gateway_upstream_connections'), { '': 1 })
  assert.deepEqual(await counted(served, 'carrel_gateway_requests_in_flight'), { '': 1 })
  release!()
  await open
  await eventually(async () => Object.keys(await counted(served, 'carrel_gateway_spooled_bytes')).length === 0, {
    withinMs: 10_000,
    because: 'nothing is held any more',
  })
})
