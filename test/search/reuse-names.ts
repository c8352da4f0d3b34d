import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import type { Entered, RuntimeTarget } from '../../src/gateway/session-port.ts'
import { isStopped } from '../../src/sessions/state.ts'
import { CALLER, SESSION_ID, VirtualInstallation } from './virtual-installation.ts'

const ROUNDS = 6
const WATCHED_MS = 4_000
const never = new AbortController().signal

type Open = Extract<Entered, { outcome: 'entered' }>

/**
 * One session id, whose record is deleted or stopped again and again, so that its pods' names are used anew. After each
 * opening nobody ends it for a while: it must keep its pod, and no pod may ever be lost to a delete that was meant for a
 * namesake. Throws, naming the seed, when that does not hold.
 */
export async function reuseNames(seed: number): Promise<void> {
  const world = new VirtualInstallation(seed, { sessionTtlSeconds: 1 })
  await world.start()
  const target = await world.createRuntime({ idleTimeoutSeconds: 600, maxLifetimeSeconds: 3600 })
  const random = world.random('story')
  const lost: string[] = []
  world.tables.sessions.subscribe(({ object }) => void (object.status?.endReason === 'PodLost' && lost.push(object.status.podName ?? '')))
  for (let round = 1; round <= ROUNDS; round += 1) {
    const open = await enterAlive(world, target)
    await endures(world, open, `seed ${seed}, round ${round}`)
    open.release()
    if (lost.length > 0) throw new Error(`seed ${seed}, round ${round}: a session lost its pod ${lost[0]}, which nobody had deleted`)
    if (random.fraction() < 0.7) await deleteRecord(world)
    else await world.settle(world.desk.stop(target, CALLER, SESSION_ID, undefined), 30_000)
    if (random.fraction() < 0.2) {
      world.operator.kill()
      world.startOperator()
    }
  }
  world.stop()
}

/** A watch that lags may still show the pod that has just ended: its port refuses, and the call enters again. */
async function enterAlive(world: VirtualInstallation, target: RuntimeTarget): Promise<Open> {
  for (;;) {
    const entered = await world.settle(world.desk.enter(target, CALLER, SESSION_ID, never), 120_000)
    if (entered.outcome !== 'entered') throw new Error(`the session could not be opened: ${JSON.stringify(entered)}`)
    if (world.host.isAlive(entered.pod.uid)) return entered
    entered.release(true)
    await world.advance(50)
  }
}

async function endures(world: VirtualInstallation, open: Open, where: string): Promise<void> {
  let ended: string | undefined
  void open.ended.then(({ reason }) => (ended = reason))
  const session = await world.session()
  if (session === undefined || session.metadata.deletionTimestamp || isStopped(session, session.spec.incarnation)) return // a stale view: it is being ended
  if (session.status?.podUID !== open.pod.uid || session.status.phase === 'Terminating') return
  await world.advance(WATCHED_MS)
  if (ended !== undefined || !world.host.isAlive(open.pod.uid))
    throw new Error(`${where}: the session lost its pod (${ended ?? 'the process is gone'})`)
}

async function deleteRecord(world: VirtualInstallation): Promise<void> {
  const session = await world.session()
  if (session === undefined) return
  const { namespace, name, uid } = session.metadata
  await world.settle(world.admin.delete(AGENT_SESSIONS, namespace, name, { uid: uid! }), 1_000)
}
