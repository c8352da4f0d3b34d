import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InvokeAgentRuntimeCommand, StopRuntimeSessionCommand } from '@aws-sdk/client-bedrock-agentcore'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { PLACE, everywhere, onProcesses } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'

interface Boot {
  boot: string
  calls: number
  cwd: string
  home: string
  tmp: string
  environment: Record<string, string>
}

everywhere(
  'with boto3, in a shell full of another AWS set-up: one id is one process with its memory, another id shares nothing with it',
  async (t) => {
    const python = needs(t, 'CARREL_TEST_PYTHON')
    if (!python) return
    const installation = await Installation.start(t)
    const arn = await installation.apply(runtimeManifest('probe'))
    const [mine, other] = [newSessionId(), newSessionId()]
    const answers = await installation.python<Record<string, unknown>[]>(
      python,
      join(import.meta.dirname, 'boto', 'orders.py'),
      arn,
      JSON.stringify([
        [mine, { do: 'boot' }],
        [mine, { do: 'remember', value: 42 }],
        [mine, { do: 'write', text: 'mine' }],
        [mine, { do: 'recall' }],
        [other, { do: 'boot' }],
        [other, { do: 'recall' }],
        [other, { do: 'read' }],
      ]),
    )
    const [boot, , , recalled, otherBoot, otherRecalled, otherNotes] = answers as unknown as [
      Boot,
      unknown,
      unknown,
      { boot: string; memory: unknown },
      Boot,
      { memory: unknown },
      { notes: unknown[] },
    ]
    assert.deepEqual(recalled, { boot: boot.boot, memory: 42 })
    assert.notEqual(otherBoot.boot, boot.boot)
    assert.equal(otherRecalled.memory, null)
    assert.deepEqual(otherNotes.notes, [null, null, null])
    // In a pod they have the same names, and nothing else in common.
    if (PLACE !== 'cluster') for (const place of ['cwd', 'home', 'tmp'] as const) assert.notEqual(boot[place], otherBoot[place], place)
  },
)

everywhere('with the JavaScript SDK: the agent sees a scrubbed environment, and the call after a stop another process', async (t) => {
  const installation = await Installation.start(t, {
    environment: { SOME_SHELL_SECRET: 'hush', AWS_SECRET_ACCESS_KEY: 'hush', AWS_PROFILE: 'mine' },
  })
  const arn = await installation.apply(runtimeManifest('probe', { environment: { GREETING: 'hi' } }))
  const client = installation.client()
  const runtimeSessionId = newSessionId()
  const response = await client.send(
    new InvokeAgentRuntimeCommand({ agentRuntimeArn: arn, runtimeSessionId, payload: Buffer.from('{"do":"boot"}') }),
  )
  assert.equal(response.runtimeSessionId, runtimeSessionId)
  const boot = JSON.parse(await response.response!.transformToString()) as Boot
  assert.equal(boot.environment['GREETING'], 'hi')
  assert.equal(boot.environment['DOCKER_CONTAINER'], '1')
  assert.equal(boot.environment['AWS_REGION'], 'us-east-1')
  for (const [name, value] of Object.entries(boot.environment))
    assert.ok(!value.includes('hush') && name !== 'AWS_PROFILE', `${name} leaked`)

  await client.send(new StopRuntimeSessionCommand({ agentRuntimeArn: arn, runtimeSessionId }))
  const again = await installation.gateway.ask<Boot>(arn, runtimeSessionId, { do: 'boot' })
  assert.notEqual(again.boot, boot.boot)
})

onProcesses('a stop leaves no file of the session, and the next incarnation has folders of its own', async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const boot = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  assert.ok(existsSync(boot.cwd))
  await gateway.stop(arn, sessionId)
  const again = await gateway.ask<Boot>(arn, sessionId, { do: 'boot' })
  for (const place of [boot.cwd, boot.home, boot.tmp]) assert.ok(!existsSync(place), `${place} is still there`)
  assert.notEqual(again.cwd, boot.cwd)
})
