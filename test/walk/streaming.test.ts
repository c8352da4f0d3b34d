import assert from 'node:assert/strict'
import { join } from 'node:path'
import { InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId, sha256 } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

const CHUNKS = 20
const EIGHT_MB = 8 * 1024 * 1024

/** The agent sends chunk n + 1 only after the client, having received chunk n, has said so by a second call. */
everywhere('with the JavaScript SDK: 20 chunks arrive one by one, each only after the one before was acknowledged', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const runtimeSessionId = newSessionId()
  const client = installation.client()
  const payload = Buffer.from(JSON.stringify({ do: 'stream', key: 'k', chunks: CHUNKS }))
  const response = await client.send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId, payload }))
  let received = ''
  let acknowledged = 0
  for await (const chunk of response.response as AsyncIterable<Buffer>) {
    received += Buffer.from(chunk).toString('utf8')
    const upTo = received.split('\n\n').length - 1
    if (upTo <= acknowledged) continue
    assert.equal(upTo, acknowledged + 1, 'nothing came before it was due')
    acknowledged = upTo
    await installation.gateway.ask(arn, runtimeSessionId, { do: 'ack', key: 'k', upTo })
  }
  assert.equal(acknowledged, CHUNKS)
})

everywhere('with the JavaScript SDK: one answer of 8 MB arrives byte for byte', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const payload = Buffer.from(JSON.stringify({ do: 'big', bytes: EIGHT_MB }))
  const response = await installation
    .client()
    .send(new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId: newSessionId(), payload }))
  const bytes = Buffer.from(await response.response!.transformToByteArray())
  assert.equal(sha256(bytes), sha256(Buffer.alloc(EIGHT_MB, 'carrel')))
})

everywhere('with boto3 and chunk_size=1: the same 20 chunks, and the same 8 MB', async (t) => {
  const python = needs(t, 'CARREL_TEST_PYTHON')
  if (!python) return
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const script = join(import.meta.dirname, 'boto', 'stream.py')
  const answer = await installation.python<{ chunks: number; early: number; sha256: string }>(
    python,
    script,
    arn,
    newSessionId(),
    String(CHUNKS),
    String(EIGHT_MB),
  )
  assert.deepEqual(answer, { chunks: CHUNKS, early: 0, sha256: sha256(Buffer.alloc(EIGHT_MB, 'carrel')) })
})
