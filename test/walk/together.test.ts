import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { sharedFolder } from '../kit/shared-folder.ts'

const CALLS = 50

everywhere('50 first calls of one new id at once: one pod in the audit log, one boot file, one nonce in 50 answers', async (t) => {
  const installation = await Installation.start(t)
  const boots = sharedFolder(t)
  const arn = await installation.apply(runtimeManifest('probe', { environment: { BOOT_DIR: boots } }))
  const sessionId = newSessionId()
  const answers = await Promise.all(
    Array.from({ length: CALLS }, () => installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })),
  )
  assert.equal(new Set(answers.map(({ boot }) => boot)).size, 1)
  assert.deepEqual(readdirSync(boots), [answers[0]!.boot])
  assert.equal(installation.podCreates(), 1)
})
