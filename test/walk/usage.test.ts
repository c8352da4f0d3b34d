import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onProcesses, PLACE } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs } from '../kit/ring.ts'
import { KernelView, type Integrals } from './kernel-view.ts'

const HOLD_BYTES = 220 * 2 ** 20
const WAIT_MS = PLACE === 'embedded' ? 10_000 : 4_000

/** Within 2 %, and a clock tick. */
function near(figure: string | undefined, truth: number, what: string): void {
  assert.ok(Math.abs(Number(figure) - truth) <= truth * 0.02 + 0.01, `${what}: ${figure} is billed, ${truth} was used`)
}

onProcesses(
  "the bill is the kernel's own: what agent and reaped child burn, start-up included, and next to nothing for waiting",
  async (t) => {
    const installation = await LocalInstallation.start(t)
    const { gateway } = installation
    const arn = await installation.apply(runtimeManifest('probe', { environment: { HOLD_BYTES: String(HOLD_BYTES) } }))
    const sessionId = newSessionId()
    const view = new KernelView(() => installation.agents(), t)
    const { pid } = await gateway.ask<{ pid: number }>(arn, sessionId, { do: 'burn', ms: 1_000, childMs: 1_000 })
    const busySeconds = view.cpuSeconds(pid)
    assert.ok(busySeconds > 2, `${busySeconds} s`)
    killOperators(installation)
    await gateway.ask(arn, sessionId, { do: 'sleep', ms: WAIT_MS })

    const used = view.cpuSeconds(pid)
    const memory = await ended(view, () => gateway.stop(arn, sessionId))
    const session = await terminated(installation, sessionId)
    const { usage } = session.status!
    near(usage?.cpuSeconds, used, 'CPU')
    assert.ok(Number(usage?.cpuSeconds) - busySeconds <= 0.1, `waiting cost ${Number(usage?.cpuSeconds) - busySeconds} s`)
    near(usage?.memoryPeakGBSeconds, memory.peakGBSeconds, 'memory at its peak')
    near(usage?.memoryInUseGBSeconds, memory.inUseGBSeconds, 'memory in use')
    assert.deepEqual([usage?.incarnation, usage?.final, usage?.missedSeconds, usage?.source], [1, true, undefined, 'ProcessTree'])
    await reopened(installation, view, arn, session)
    await shows(installation, t, sessionId)
  },
)

/** The next incarnation has a bill of its own, and the first one's is kept beside it. */
async function reopened(
  installation: LocalInstallation,
  view: KernelView,
  arn: string,
  { spec, status: before }: AgentSession,
): Promise<void> {
  const { gateway } = installation
  const { pid } = await gateway.ask<{ pid: number }>(arn, spec.sessionId, { do: 'boot' })
  const used = view.cpuSeconds(pid)
  await gateway.stop(arn, spec.sessionId)
  const { usage, usageBefore } = (await terminated(installation, spec.sessionId)).status!
  assert.deepEqual([usage?.incarnation, usageBefore?.incarnations], [2, 1])
  assert.equal(usageBefore?.cpuSeconds, before?.usage?.cpuSeconds)
  const billed = Number(usage?.cpuSeconds)
  assert.ok(billed >= used - 0.01 && billed < used + 0.3, `${billed} is billed, ${used} was used`)
}

async function shows(installation: LocalInstallation, t: TestContext, sessionId: string): Promise<void> {
  const kubectl = needs(t, 'CARREL_TEST_KUBECTL')
  if (kubectl === undefined) return
  const { stdout } = await installation.kubectl(kubectl, 'get', 'ags')
  assert.match(stdout, /CPU-SECONDS/)
  const session = await installation.session(sessionId)
  assert.ok(stdout.split(/\s+/).includes(session!.status!.usage!.cpuSeconds), stdout)
}

/** Of replicas: all at once, by SIGKILL. They are started again. */
function killOperators({ home }: LocalInstallation): void {
  const replicas = join(home, 'replicas.json')
  if (!existsSync(replicas)) return
  const { operators } = JSON.parse(readFileSync(replicas, 'utf8')) as { operators: { pid: number }[] }
  for (const { pid } of operators) process.kill(pid, 'SIGKILL')
}

/** What the test itself has read, until the agent's last process is gone. */
async function ended(view: KernelView, stop: () => Promise<unknown>): Promise<Integrals> {
  const stopping = stop()
  while (view.isAnyAlive()) await wait(10)
  const integrals = view.close()
  await stopping
  return integrals
}

function terminated(installation: LocalInstallation, sessionId: string): Promise<AgentSession> {
  return eventually(
    async () => {
      const session = await installation.session(sessionId)
      return session?.status?.phase === 'Terminated' && session.status.incarnation === session.spec.incarnation && session
    },
    { withinMs: 30_000, because: 'the session has ended' },
  )
}
