import assert from 'node:assert/strict'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { errorOf } from '../kit/wire-error.ts'

const CALLS = 20

everywhere('over a limit a call gets 402 or 429, nothing is made for it, and what is open goes on', async (t) => {
  const installation = await Installation.start(t)
  const { gateway } = installation
  const [few, fewOfOne, slow] = await Promise.all([
    installation.apply(runtimeManifest('few', { limits: { sessions: 1 } })),
    installation.apply(runtimeManifest('few-of-one', { limits: { sessionsPerOwner: 1 } })),
    installation.apply(runtimeManifest('slow', { limits: { callsPerSecondPerOwner: 1 } })),
  ])
  const open = async (arn: string): Promise<{ arn: string; sessionId: string; boot: string }> => {
    const sessionId = newSessionId()
    return { arn, sessionId, ...(await gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })) }
  }
  const opened = await Promise.all([open(few), open(fewOfOne), open(slow)])

  for (const [arn, field] of [
    [few, 'sessions'],
    [fewOfOne, 'sessionsPerOwner'],
  ] as const) {
    const error = errorOf(await gateway.invoke(arn, newSessionId(), { do: 'boot' }))
    assert.deepEqual([error.status, error.type], [402, 'ServiceQuotaExceededException'])
    assert.match(error.message, new RegExp(`, 1 \\(spec\\.limits\\.${field}\\): stop some`))
  }
  assert.equal((await installation.sessions()).length, opened.length, 'nothing was made for them')
  assert.equal((await gateway.ask<{ boot: string }>(few, opened[0]!.sessionId, { do: 'boot' })).boot, opened[0]!.boot)

  const answers = await Promise.all(Array.from({ length: CALLS }, () => gateway.invoke(slow, opened[2]!.sessionId, { do: 'boot' })))
  const refused = answers.filter(({ status }) => status !== 200)
  assert.ok(refused.length > 0, `${CALLS} calls at once, at one a second`)
  for (const answer of refused) {
    assert.deepEqual([errorOf(answer).status, errorOf(answer).type], [429, 'ThrottlingException'])
    const retryAfterMs = Number(answer.headers['x-amz-retry-after'])
    assert.ok(retryAfterMs > 0 && retryAfterMs <= 1_000, `${retryAfterMs} ms`)
    assert.equal(answer.headers['retry-after'], '1')
  }

  await gateway.stop(few, opened[0]!.sessionId)
  const next = await eventually(() => open(few).catch(() => undefined), { withinMs: 15_000, because: 'what was stopped has made room' })
  assert.notEqual(next.boot, opened[0]!.boot)
})
