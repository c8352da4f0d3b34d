import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { eventually } from '../kit/eventually.ts'
import { Installation } from '../kit/installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'

const COMMAND = join(import.meta.dirname, '../../src/cli/main.ts')
const TIMEOUT_MS = 60_000

interface Ran {
  code: number
  out: string
  notes: string
}

function carrel({ env }: Installation, ...argv: string[]): Promise<Ran> {
  const options = { env: { ...process.env, ...env }, timeout: TIMEOUT_MS }
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...argv], options, (error, out, notes) =>
      resolve({ code: error ? Number(error.code) : 0, out, notes }),
    )
  })
}

everywhere('carrel calls an agent, tells the story of its session, and shows what it wrote', async (t) => {
  const installation = await Installation.start(t)
  await installation.apply(runtimeManifest('told'))
  const sessionId = newSessionId()
  const called = await carrel(installation, 'invoke', 'told', '--session', sessionId, '--payload', '{"do": "boot"}')
  assert.equal(called.code, 0, called.notes)
  assert.ok((JSON.parse(called.out) as { boot: string }).boot)
  assert.equal(called.notes, `session ${sessionId}\n`)
  await eventually(async () => (await installation.session(sessionId))?.status?.phase === 'Running', {
    withinMs: 30_000,
    because: 'it runs',
  })

  const { name } = (await installation.session(sessionId))!.metadata
  const story = await eventually(
    async () => {
      const ran = await carrel(installation, 'describe', sessionId)
      assert.equal(ran.code, 0, ran.notes)
      return /Pod +Started/.test(ran.out) && ran // events come when they come
    },
    { withinMs: 30_000, because: 'the story has the events of kubelet' },
  )
  assert.match(story.out, new RegExp(`^Session ${name}\n`))
  for (const line of [/Phase +Running/, /Container agent +running since/, /Address +[0-9.]+/, /Running +carrel\.dev\/operator/]) {
    assert.match(story.out, line)
  }
  const runtime = await carrel(installation, 'describe', 'told')
  assert.match(runtime.out, /Sessions: 1 live, 0 ended/)
  assert.equal((await carrel(installation, 'logs', name, '--tail', '5')).code, 0)
})

everywhere('of an agent that does not start, the caller, describe and logs tell the same', async (t) => {
  const installation = await Installation.start(t)
  await installation.apply(runtimeManifest('gives-up', { environment: { EXIT_AT_START: '3' } }))
  const sessionId = newSessionId()
  const called = await carrel(installation, 'invoke', 'gives-up', '--session', sessionId)
  assert.equal(called.code, 1)
  assert.match(called.notes, /answered 424 \(RuntimeClientError, request [^)]+\): .*code 3/s)
  await eventually(async () => (await installation.session(sessionId))?.status?.phase === 'Terminated', {
    withinMs: 30_000,
    because: 'it is over',
  })
  const story = await carrel(installation, 'describe', sessionId)
  assert.match(story.out, /Reason +StartFailed: [^]*What to do[^]*Last lines of the agent\n[^]*the model file is missing/)
  const logs = await carrel(installation, 'logs', sessionId)
  assert.deepEqual([logs.code, logs.out.includes('the model file is missing')], [0, true], logs.notes)
})
