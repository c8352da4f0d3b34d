/** One session on the virtual clock, for the tests of what it used. */
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from '../search/virtual-installation.ts'

const never = new AbortController().signal
export type Target = Awaited<ReturnType<VirtualInstallation['createRuntime']>>
export type Status = NonNullable<AgentSession['status']>

/** `metersBeside`: each pod's meter goes with it. */
export async function withWorld(
  seed: number,
  body: (world: VirtualInstallation, target: Target) => Promise<void>,
  options: { metersBeside?: boolean } = {},
): Promise<void> {
  const world = new VirtualInstallation(seed, options)
  try {
    await world.start()
    await body(world, await world.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 3600 }))
  } finally {
    world.stop()
  }
}

/** A call that ends at once. Answers the pod's UID. */
export async function call(world: VirtualInstallation, target: Target): Promise<string> {
  const entered = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 120_000)
  if (entered.outcome !== 'entered') throw new Error(entered.outcome)
  entered.release()
  return entered.pod.uid
}
