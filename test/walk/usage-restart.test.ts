import assert from 'node:assert/strict'
import { request } from 'node:http'
import { eventually } from '../kit/eventually.ts'
import { temporaryHome } from '../kit/temporary-home.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onLaptop } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { KernelView } from './kernel-view.ts'

onLaptop('npm start is killed: what its orphans use until the next start ends them is billed, once', async (t) => {
  const home = temporaryHome()
  const before = await LocalInstallation.launch({ home })
  const arn = await before.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const { pid } = await before.gateway.ask<{ pid: number }>(arn, sessionId, { do: 'burn', ms: 300 })
  const address = await before.addressOf(sessionId)
  const view = new KernelView(() => [pid], t)
  const killedAtMs = performance.now()
  await before.killHard()
  await post(address, { do: 'burn', ms: 700, childMs: 300 })
  const used = view.cpuSeconds(pid)
  assert.ok(used > 1.3, 'the orphan worked on')

  const after = await before.restart()
  t.after(() => after.stop())
  const { status } = await eventually(
    async () => {
      const session = await after.session(sessionId)
      return session?.status?.phase === 'Terminated' && session
    },
    { withinMs: 30_000, because: 'the session has ended' },
  )
  const downSeconds = (performance.now() - killedAtMs) / 1000
  assert.equal(status?.endReason, 'PodLost')
  const { cpuSeconds, bridgedSeconds = '0', missedSeconds, final } = status?.usage ?? {}
  assert.ok(Math.abs(Number(cpuSeconds) - used) <= used * 0.02 + 0.02, `${cpuSeconds} is billed, ${used} was used`)
  assert.deepEqual([final, missedSeconds], [true, undefined])
  assert.ok(Number(bridgedSeconds) <= downSeconds + 1, `${bridgedSeconds} s are bridged of ${downSeconds}`)

  await after.gateway.ask(arn, sessionId, { do: 'boot' })
  assert.equal((await after.session(sessionId))?.status?.usageBefore?.cpuSeconds, cpuSeconds)
})

/** Straight to the agent: there is no gateway. */
function post(address: string, order: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port: 8080, path: '/invocations', method: 'POST' }, (response) => {
      response.resume()
      response.once('end', resolve)
    })
    sent.once('error', reject).end(JSON.stringify(order))
  })
}
