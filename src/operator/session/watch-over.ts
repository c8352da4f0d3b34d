import { AGENT_PORT, type AgentSession } from '../../crds/agent-session.ts'
import { withCondition } from '../../kube/conditions.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import type { Pod } from '../../kube/objects.ts'
import { PODS } from '../../kube/resource.ts'
import { deadlineReached, isStopped, nextDeadlineMs, type SessionState } from '../../sessions/state.ts'
import { withDefaults, type VersionedSpec } from '../runtime/version.ts'
import { keepMetered, usageDue } from '../usage/live.ts'
import { explained, withLastLog } from './last-log.ts'
import { endOfUnprovable } from './meter-end.ts'
import { isNodeSilent } from './orphan.ts'
import { disruptionOf, endingOfPod } from './pod-end.ts'
import { eventsDueAgainInMs, eventsDueInMs, eventsOf } from './pod-events.ts'
import { failureInEvents, startFailureOf, waitsFor } from './start-failure.ts'
import { beginEnding, writeStatus, type Ending, type SessionTools } from './step.ts'

type LiveState = Extract<SessionState, { phase: 'Pending' | 'Running' }>

/** A live session: ends it when something says so, marks it Running at its agent's first good ping, else waits. */
export async function watchOver(session: AgentSession, state: LiveState, tools: SessionTools): Promise<Outcome> {
  const { env, vigil } = tools
  const pod = await podOf(session, state, tools)
  const ending = endingOf(session, state, pod, tools) ?? (await overdue(session, state, pod, tools))
  if (ending) return end(session, state, pod, ending, tools)
  const asked = state.phase === 'Running' ? await endOfUnprovable(pod, tools) : await unseenFailure(session, state, pod, tools)
  if (asked && 'reason' in asked) return end(session, state, pod, asked, tools)

  vigil.keep({
    podUID: state.podUID,
    sessionKey: `${session.metadata.namespace}/${session.metadata.name}`,
    address: pod?.status?.podIP,
    port: AGENT_PORT,
    started: state.phase === 'Running',
    idleMs: (session.status?.idleTimeoutSeconds ?? 900) * 1000,
  })
  if (state.phase === 'Pending' && vigil.verdictOn(state.podUID).started) return markRunning(session, state, tools)
  keepMetered(session, state, pod?.status?.podIP, tools)
  const usage = usageDue(session, state, tools)
  if (usage) await writeStatus(session, { ...session.status, ...usage }, tools)
  const inMs = Math.min(asked?.againAfterMs ?? Infinity, (nextDeadlineMs(state) ?? Infinity) - env.clock.now())
  return inMs === Infinity ? DONE : again(Math.max(0, inMs))
}

async function markRunning(session: AgentSession, state: LiveState, tools: SessionTools): Promise<Outcome> {
  const ready = { type: 'Ready', status: 'True', reason: 'Running', message: `pod ${state.podName} answers` } as const
  const conditions = withCondition(session.status?.conditions, ready, tools.env.clock.now())
  await writeStatus(session, { ...session.status, phase: 'Running', conditions }, tools)
  tools.cluster.events.record(session, {
    type: 'Normal',
    reason: 'Running',
    note: `incarnation ${state.incarnation} runs in pod ${state.podName}`,
    action: 'Start',
  })
  return DONE
}

/** With what the agent said last, and with what that means. */
async function end(session: AgentSession, state: LiveState, pod: Pod | undefined, ending: Ending, tools: SessionTools): Promise<Outcome> {
  const known = await ofSilentNode(ending, pod, tools)
  const user = tools.settings.artifacts === 'container' ? versionOf(session, tools)?.securityContext.runAsUser : undefined
  await beginEnding(session, explained(await withLastLog(known, session, pod, tools), { started: state.phase === 'Running', user }), tools)
  return DONE
}

/** What its pod was built by, while its runtime is there. */
function versionOf(session: AgentSession, { cluster }: SessionTools): VersionedSpec | undefined {
  const runtime = cluster.runtimeOf(session)
  const { version } = session.status ?? {}
  const revision = runtime && version !== undefined ? cluster.versionOf(runtime, version) : undefined
  return revision && withDefaults(revision.data)
}

/** The taint manager deletes the pods of a silent node and those of a node that somebody has tainted. */
async function ofSilentNode(ending: Ending, pod: Pod | undefined, tools: SessionTools): Promise<Ending> {
  if (pod === undefined || ending.reason !== 'Evicted' || disruptionOf(pod) !== 'DeletionByTaintManager') return ending
  const whole = await tools.cluster.client.find(PODS, pod.metadata.namespace, pod.metadata.name)
  if (whole?.metadata.uid !== pod.metadata.uid || !whole?.spec?.nodeName || !(await isNodeSilent(whole, tools))) return ending
  return { reason: 'NodeLost', message: `node ${whole.spec.nodeName} of pod ${pod.metadata.name} has stopped answering` }
}

/** The pod that the status names; the cache may be behind, so only the API server says that it is gone. */
async function podOf(session: AgentSession, state: LiveState, { cluster }: SessionTools): Promise<Pod | undefined> {
  const cached = cluster.pods.get(session.metadata.namespace, state.podName)
  if (cached?.metadata.uid === state.podUID) return cached
  const current = await cluster.client.find(PODS, session.metadata.namespace!, state.podName)
  return current?.metadata.uid === state.podUID ? current : undefined
}

/** Why the session must end now, most telling reason first. */
function endingOf(session: AgentSession, state: LiveState, pod: Pod | undefined, tools: SessionTools): Ending | undefined {
  const { cluster, vigil } = tools
  if (isStopped(session, state.incarnation)) return { reason: 'Stopped', message: 'StopRuntimeSession was called' }
  if (cluster.runtimeOf(session) === undefined)
    return { reason: 'RuntimeDeleted', message: `AgentRuntime ${session.spec.runtimeRef.name} was deleted` }
  if (pod === undefined) return { reason: 'PodLost', message: `pod ${state.podName} was deleted; the next call opens a new one` }
  const started = state.phase === 'Running'
  const memoryLimit = (): string | undefined => versionOf(session, tools)?.resources.limits.memory.toString()
  const ofPod = endingOfPod(pod, { started, memoryLimit }) ?? (started ? undefined : startFailureOf(pod))
  if (ofPod) return ofPod

  const verdict = vigil.verdictOn(state.podUID)
  if (verdict.idleClosed)
    return { reason: 'IdleTimeout', message: `idle for ${session.status?.idleTimeoutSeconds} s (spec.lifecycle.idleTimeoutSeconds)` }
  if (verdict.unhealthy) return { reason: 'Unhealthy', message: verdict.unhealthy }
  return undefined
}

/** Its time is over. One that never answered is told what it was still waiting for. */
async function overdue(session: AgentSession, state: LiveState, pod: Pod | undefined, tools: SessionTools): Promise<Ending | undefined> {
  const { env, vigil } = tools
  const due = deadlineReached(state, env.clock.now())
  if (due === 'MaxLifetime') return { reason: 'MaxLifetime', message: 'spec.lifecycle.maxLifetimeSeconds have passed' }
  if (due !== 'StartFailed' || pod === undefined) return undefined
  const within = `within ${session.status?.startTimeoutSeconds} s (spec.startTimeoutSeconds)`
  const waiting = waitsFor(pod, asksEvents(pod, tools) ? await eventsOf(pod, session, tools) : [])
  if (waiting) return { ...waiting, message: `not started ${within}: ${waiting.message}` }
  return { reason: 'StartFailed', message: `${vigil.verdictOn(state.podUID).lastPing} ${within}` }
}

/** What only events tell; or when to ask for them again. */
async function unseenFailure(
  session: AgentSession,
  state: LiveState,
  pod: Pod | undefined,
  tools: SessionTools,
): Promise<Ending | { againAfterMs: number } | undefined> {
  if (pod === undefined || !asksEvents(pod, tools)) return undefined
  const inMs = eventsDueInMs(pod, tools.env.clock.now() - state.startedAtMs)
  if (inMs === undefined || inMs > 0) return inMs === undefined ? undefined : { againAfterMs: inMs }
  return failureInEvents(await eventsOf(pod, session, tools)) ?? { againAfterMs: eventsDueAgainInMs }
}

/** The process kubelet of a laptop writes all that it knows into the status. */
function asksEvents(pod: Pod, { settings }: SessionTools): boolean {
  return settings.artifacts === 'container' && !pod.status?.podIP
}
