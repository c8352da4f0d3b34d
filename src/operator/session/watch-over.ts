import { AGENT_CONTAINER, AGENT_PORT, type AgentSession } from '../../crds/agent-session.ts'
import { withCondition } from '../../kube/conditions.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import type { Pod } from '../../kube/objects.ts'
import { PODS } from '../../kube/resource.ts'
import { deadlineReached, isStopped, nextDeadlineMs, type SessionState } from '../../sessions/state.ts'
import { keepMetered, usageDue } from '../usage/live.ts'
import { beginEnding, writeStatus, type Ending, type SessionTools } from './step.ts'

type LiveState = Extract<SessionState, { phase: 'Pending' | 'Running' }>

const LAST_LOG_LINES = 20
const LAST_LOG_BYTES = 4_096
const LAST_LOG_LINE_CHARACTERS = 400

/** A live session: ends it when something says so, marks it Running at its agent's first good ping, else waits. */
export async function watchOver(session: AgentSession, state: LiveState, tools: SessionTools): Promise<Outcome> {
  const { cluster, env, vigil } = tools
  const pod = await podOf(session, state, tools)
  const ending = endingOf(session, state, pod, tools)
  if (ending) {
    await beginEnding(session, await withLastLog(ending, session, pod, tools), tools)
    return DONE
  }

  vigil.keep({
    podUID: state.podUID,
    sessionKey: `${session.metadata.namespace}/${session.metadata.name}`,
    address: pod?.status?.podIP,
    port: AGENT_PORT,
    started: state.phase === 'Running',
    idleMs: (session.status?.idleTimeoutSeconds ?? 900) * 1000,
  })
  if (state.phase === 'Pending' && vigil.verdictOn(state.podUID).started) {
    const ready = { type: 'Ready', status: 'True', reason: 'Running', message: `pod ${state.podName} answers` } as const
    await writeStatus(
      session,
      { ...session.status, phase: 'Running', conditions: withCondition(session.status?.conditions, ready, env.clock.now()) },
      tools,
    )
    cluster.events.record(session, {
      type: 'Normal',
      reason: 'Running',
      note: `incarnation ${state.incarnation} runs in pod ${state.podName}`,
      action: 'Start',
    })
    return DONE
  }
  keepMetered(session, state, pod?.status?.podIP, tools)
  const usage = usageDue(session, state, tools)
  if (usage) await writeStatus(session, { ...session.status, usage }, tools)
  const deadlineMs = nextDeadlineMs(state)
  return deadlineMs === undefined ? DONE : again(Math.max(0, deadlineMs - env.clock.now()))
}

/** The pod that the status names; the cache may be behind, so only the API server says that it is gone. */
async function podOf(session: AgentSession, state: LiveState, { cluster }: SessionTools): Promise<Pod | undefined> {
  const cached = cluster.pods.get(session.metadata.namespace, state.podName)
  if (cached?.metadata.uid === state.podUID) return cached
  const current = await cluster.client.find(PODS, session.metadata.namespace!, state.podName)
  return current?.metadata.uid === state.podUID ? current : undefined
}

/** Why the session must end now, most telling reason first. */
function endingOf(
  session: AgentSession,
  state: LiveState,
  pod: Pod | undefined,
  { cluster, env, vigil }: SessionTools,
): Ending | undefined {
  if (isStopped(session, state.incarnation)) return { reason: 'Stopped', message: 'StopRuntimeSession was called' }
  if (cluster.runtimeOf(session) === undefined)
    return { reason: 'RuntimeDeleted', message: `AgentRuntime ${session.spec.runtimeRef.name} was deleted` }
  if (pod === undefined) return { reason: 'PodLost', message: `pod ${state.podName} was deleted; the next call opens a new one` }
  const lost = endingOfPod(state, pod)
  if (lost) return lost

  const verdict = vigil.verdictOn(state.podUID)
  if (verdict.idleClosed)
    return { reason: 'IdleTimeout', message: `idle for ${session.status?.idleTimeoutSeconds} s (spec.lifecycle.idleTimeoutSeconds)` }
  if (verdict.unhealthy) return { reason: 'Unhealthy', message: verdict.unhealthy }
  const due = deadlineReached(state, env.clock.now())
  if (due === 'StartFailed')
    return {
      reason: 'StartFailed',
      message: `${verdict.lastPing} within ${session.status?.startTimeoutSeconds} s (spec.startTimeoutSeconds)`,
    }
  if (due === 'MaxLifetime') return { reason: 'MaxLifetime', message: 'spec.lifecycle.maxLifetimeSeconds have passed' }
  return undefined
}

/** Reasons that kubelets give to pods that did not end by their agent's doing. */
const POD_LOST_REASONS = new Set(['KubeletRestarted', 'Evicted', 'NodeLost', 'NodeShutdown', 'Terminated', 'Preempted'])

function endingOfPod(state: LiveState, pod: Pod): Ending | undefined {
  const { phase, reason, message } = pod.status ?? {}
  const ended = pod.status?.containerStatuses?.find(({ name }) => name === AGENT_CONTAINER)?.state?.terminated
  const failed = state.phase === 'Pending' ? 'StartFailed' : 'AgentExited'
  if (reason && POD_LOST_REASONS.has(reason)) return { reason: 'PodLost', message: message || `pod ${state.podName} was lost: ${reason}` }
  if (reason === 'DeadlineExceeded') return { reason: 'MaxLifetime', message: "the pod's activeDeadlineSeconds have passed" }
  if (pod.metadata.deletionTimestamp)
    return { reason: 'PodLost', message: `pod ${state.podName} was deleted; the next call opens a new one` }
  if (ended) {
    const how = ended.message || `the agent exited with code ${ended.exitCode}${ended.signal ? ` (signal ${ended.signal})` : ''}`
    return { reason: failed, message: state.phase === 'Pending' ? `${how}, before it answered GET /ping` : how }
  }
  if (phase === 'Failed' || phase === 'Succeeded')
    return { reason: failed, message: message || `pod ${state.podName} ended: ${reason ?? phase}` }
  return undefined
}

/** Read before the pod goes, for those who may read logs. Best effort: a missing log never holds an end back. */
async function withLastLog(ending: Ending, session: AgentSession, pod: Pod | undefined, { cluster, env }: SessionTools): Promise<Ending> {
  if (pod === undefined || (ending.reason !== 'StartFailed' && ending.reason !== 'AgentExited' && ending.reason !== 'Unhealthy'))
    return ending
  try {
    const text = await cluster.client.logs(session.metadata.namespace!, pod.metadata.name, {
      container: AGENT_CONTAINER,
      tailLines: LAST_LOG_LINES,
      limitBytes: LAST_LOG_BYTES,
    })
    return {
      ...ending,
      lastLog: text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.slice(0, LAST_LOG_LINE_CHARACTERS)),
    }
  } catch (error) {
    env.log.warn({ session: session.metadata.name, err: error }, 'the last log lines could not be read')
    return ending
  }
}
