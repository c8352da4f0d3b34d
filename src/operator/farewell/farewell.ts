/**
 * Ends every session before an installation goes, while its operator still works. Promised: within `operatorSeconds` and
 * LAST_STEP_MS no AgentSession is left to wait for an operator that is gone, and no pod of one to run on. Usage of sessions that
 * the operator could not end in time is lost.
 */
import { AGENT_SESSIONS, SESSION_FINALIZER, SESSION_UID_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import { PART_LABEL, SYSTEM_NAMESPACE } from '../../crds/system.ts'
import { sleep } from '../../env/clock.ts'
import type { Env } from '../../env/env.ts'
import { KubeClient } from '../../kube/client.ts'
import { removeFinalizer } from '../../kube/finalizers.ts'
import { PODS } from '../../kube/resource.ts'
import type { Transport } from '../../kube/transport.ts'

export type FarewellEnv = Env & { kubernetes: Transport }

export interface Farewell {
  /** By the operator, as always. */
  ended: number
  /** Their pods were killed and their finalizers taken away. */
  forced: number
}

const GATEWAYS = `/apis/apps/v1/namespaces/${SYSTEM_NAMESPACE}/deployments/carrel-gateway/scale`
const GATEWAY_PODS = `${PART_LABEL}=gateway`
/** Phases of a pod that runs no more, and may be kept for people to read. */
const OVER = ['Succeeded', 'Failed']
const LOOK_EVERY_MS = 500
/** To list, kill and release what is left. */
export const LAST_STEP_MS = 10_000

export async function farewell(env: FarewellEnv, operatorSeconds: number): Promise<Farewell> {
  const client = new KubeClient(env.kubernetes)
  const untilMs = env.clock.monotonic() + operatorSeconds * 1000
  const seen = new Set<string>()
  await attempt(env, 'the gateways could not be sent away', () => closeGateways(env.kubernetes))
  for (;;) {
    const { isDone, sessions } = await endAll(env, client, seen)
    if (isDone) return { ended: seen.size, forced: 0 }
    if (env.clock.monotonic() < untilMs) await sleep(env.clock, LOOK_EVERY_MS)
    else return forceAll(env, client, { sessions, seen, untilMs: untilMs + LAST_STEP_MS })
  }
}

/** Otherwise the next call of a session would open it again. */
async function closeGateways(kubernetes: Transport): Promise<void> {
  const body = { spec: { replicas: 0 } }
  const { status } = await kubernetes.request({ method: 'PATCH', path: GATEWAYS, contentType: 'application/merge-patch+json', body })
  if (status >= 300 && status !== 404) throw new Error(`the API server answered ${status}`)
}

/** Asks for the end of all that are there. Done: there are none, and no gateway that could open one. */
async function endAll(env: FarewellEnv, client: KubeClient, seen: Set<string>): Promise<{ isDone: boolean; sessions: AgentSession[] }> {
  let sessions: AgentSession[] = []
  let isDone = false
  await attempt(env, 'the sessions could not be ended; it will be tried again', async () => {
    const gateways = await client.list(PODS, { namespace: SYSTEM_NAMESPACE, labelSelector: GATEWAY_PODS })
    sessions = (await client.list(AGENT_SESSIONS)).items
    isDone = sessions.length === 0 && gateways.items.every(({ status }) => OVER.includes(status?.phase ?? ''))
    for (const { metadata } of sessions) {
      seen.add(metadata.uid!)
      if (!metadata.deletionTimestamp) await client.delete(AGENT_SESSIONS, metadata.namespace, metadata.name, { uid: metadata.uid! })
    }
  })
  return { isDone, sessions }
}

async function forceAll(
  env: FarewellEnv,
  client: KubeClient,
  { sessions, seen, untilMs }: { sessions: readonly AgentSession[]; seen: ReadonlySet<string>; untilMs: number },
): Promise<Farewell> {
  let forced = 0
  for (const session of sessions) {
    if (env.clock.monotonic() >= untilMs) break
    const { namespace, name } = session.metadata
    await attempt(env, `the pods of ${namespace}/${name} could not be killed`, () => killPods(client, session))
    await attempt(env, `${namespace}/${name} could not be released`, async () => {
      await removeFinalizer(client, AGENT_SESSIONS, session, SESSION_FINALIZER)
      forced += 1
    })
  }
  return { ended: seen.size - sessions.length, forced }
}

async function killPods(client: KubeClient, { metadata }: AgentSession): Promise<void> {
  const pods = await client.list(PODS, { namespace: metadata.namespace!, labelSelector: `${SESSION_UID_LABEL}=${metadata.uid}` })
  for (const pod of pods.items) {
    await client.delete(PODS, pod.metadata.namespace, pod.metadata.name, { uid: pod.metadata.uid!, gracePeriodSeconds: 0 })
  }
}

/** One that fails must not keep the rest from its end. */
async function attempt(env: FarewellEnv, otherwise: string, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    env.log.warn({ err: error }, otherwise)
  }
}
