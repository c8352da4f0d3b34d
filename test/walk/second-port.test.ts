/** Alone: its agents take ports of every address, 8080 too, which no other agent of the machine could listen on then. */
import assert from 'node:assert/strict'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { isReached, realAddresses, reachedFromOutside } from '../kit/dial.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { Installation } from '../kit/installation.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere, onProcesses } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'

/** The kubelet looks at least twice a second; the rest is for a busy machine. */
const ENDED_WITHIN_MS = 5_000
const WILDCARDS = ['0.0.0.0', '::']

everywhere('a second port on every address, IPv4 and IPv6, is moved to the session: reached there, and on no real interface', async (t) => {
  const installation = await Installation.start(t)
  const arn = await installation.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const { boot } = await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
  assert.ok(realAddresses().length > 0, 'this machine has a network interface')
  const address = await installation.addressOf(sessionId)
  for (const host of WILDCARDS) {
    const port = await freePort()
    await installation.gateway.ask(arn, sessionId, { do: 'listen', host, port })
    assert.ok(await isReached(address, port), `${host} is the session's own address ${address}`)
    assert.deepEqual(await reachedFromOutside([port, 8080]), [], host)
  }
  assert.equal((await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })).boot, boot, 'it is left alone')
})

/** The session, once it is over. */
const over = (installation: LocalInstallation, sessionId: string): Promise<AgentSession> =>
  eventually(
    async () => {
      const session = await installation.session(sessionId)
      return session?.status?.phase === 'Terminated' && session
    },
    { withinMs: ENDED_WITHIN_MS, because: 'the session is ended' },
  )

for (const host of WILDCARDS) {
  onProcesses(`without the shim a second port on ${host} ends the session, with a reason that names it; the next call works`, async (t) => {
    const installation = await LocalInstallation.start(t)
    const { gateway } = installation
    const arn = await installation.apply(runtimeManifest('probe'))
    const sessionId = newSessionId()
    const { boot } = await gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
    const port = await freePort()
    await gateway.invoke(arn, sessionId, { do: 'escape', host, port })
    const { status } = await over(installation, sessionId)
    assert.deepEqual(await reachedFromOutside([port]), [])
    assert.match(status!.endMessage!, new RegExp(`:${port}\\b`))
    assert.deepEqual(installation.agents(), [], 'the child that listened is gone too')
    assert.notEqual((await gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })).boot, boot)
  })
}

onProcesses('an agent whose own port evades the shim is ended too, with a reason that names it', async (t) => {
  const installation = await LocalInstallation.start(t)
  const arn = await installation.apply(runtimeManifest('probe', { command: ['env', '-u', 'NODE_OPTIONS', 'node', 'agent.ts'] }))
  const sessionId = newSessionId()
  await installation.gateway.invoke(arn, sessionId, { do: 'boot' })
  const { status } = await over(installation, sessionId)
  assert.deepEqual(await reachedFromOutside([8080]), [])
  // While any other agent of this machine listens on 8080 the kernel refuses the wildcard bind: then it ends by itself.
  assert.match(status!.endMessage!, /:8080\b|exited with code/)
  assert.deepEqual(installation.agents(), [])
})
