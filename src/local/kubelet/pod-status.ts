import { AGENT_CONTAINER } from '../../crds/agent-session.ts'
import { rfc3339Seconds } from '../../env/clock.ts'
import type { Pod } from '../../kube/objects.ts'
import type { End, Work } from './work.ts'

type PodStatus = NonNullable<Pod['status']>
type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number]
type PodCondition = NonNullable<PodStatus['conditions']>[number]

/** Processes are reached on addresses of the loopback; the node itself is the loopback. */
const HOST_IP = '127.0.0.1'

/** The status that a pod should have. Undefined: nothing to say of it. */
export function statusOf(pod: Pod, work: Work, nowMs: number): PodStatus | undefined {
  switch (work.step) {
    case 'starting':
      return {
        phase: 'Pending',
        ...hostFields(work.startTimeMs),
        conditions: conditionsOf(pod, nowMs, { ready: false, reason: 'ContainersNotReady' }),
        containerStatuses: [containerOf(pod, { state: { waiting: { reason: 'ContainerCreating' } }, ready: false })],
      }
    case 'running':
    case 'ending':
      return {
        phase: 'Running',
        ...hostFields(work.startTimeMs),
        podIP: work.address,
        podIPs: [{ ip: work.address }],
        conditions: conditionsOf(pod, nowMs, { ready: true }),
        containerStatuses: [containerOf(pod, { state: { running: { startedAt: rfc3339Seconds(work.startedAtMs) } }, ready: true })],
      }
    case 'ended':
      return endedStatus(pod, work.end, nowMs)
    case 'released':
      return undefined
  }
}

function endedStatus(pod: Pod, end: End, nowMs: number): PodStatus {
  const { phase, reason, message, address, startTimeMs } = end
  return {
    phase,
    ...(reason ? { reason } : {}),
    ...(message ? { message } : {}),
    ...hostFields(startTimeMs),
    ...(address ? { podIP: address, podIPs: [{ ip: address }] } : {}),
    conditions: conditionsOf(pod, nowMs, { ready: false, reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' }),
    ...terminatedContainer(pod, end),
  }
}

/** A pod that lost its container by a restart had one: its status must not claim that it runs. */
function terminatedContainer(pod: Pod, end: End): Pick<PodStatus, 'containerStatuses'> {
  const held = pod.status?.containerStatuses?.find(({ name }) => name === AGENT_CONTAINER)
  const container =
    end.container ?? (held ? { exitCode: 137, reason: end.reason ?? 'Error', ...(end.message ? { message: end.message } : {}) } : undefined)
  if (container === undefined) return {}
  const { exitCode, signal, reason, message, startedAtMs } = { signal: undefined, startedAtMs: undefined, message: undefined, ...container }
  const startedAt = startedAtMs === undefined ? held?.state?.running?.startedAt : rfc3339Seconds(startedAtMs)
  const terminated = {
    exitCode,
    ...(signal === undefined ? {} : { signal }),
    reason,
    ...(message ? { message } : {}),
    ...(startedAt ? { startedAt } : {}),
    finishedAt: rfc3339Seconds(end.finishedAtMs),
  }
  return { containerStatuses: [containerOf(pod, { state: { terminated }, ready: false })] }
}

function containerOf(pod: Pod, now: { state: ContainerStatus['state']; ready: boolean }): ContainerStatus {
  const image = pod.spec?.containers.find(({ name }) => name === AGENT_CONTAINER)?.image ?? ''
  return {
    name: AGENT_CONTAINER,
    image,
    imageID: '',
    restartCount: 0,
    started: now.ready,
    ready: now.ready,
    state: now.state,
    lastState: {},
  }
}

function hostFields(startTimeMs: number): Pick<PodStatus, 'hostIP' | 'hostIPs' | 'startTime'> {
  return { hostIP: HOST_IP, hostIPs: [{ ip: HOST_IP }], startTime: rfc3339Seconds(startTimeMs) }
}

function conditionsOf(pod: Pod, nowMs: number, now: { ready: boolean; reason?: string }): PodCondition[] {
  const ready = now.ready ? ({ status: 'True' } as const) : { status: 'False', ...(now.reason ? { reason: now.reason } : {}) }
  const wanted: Omit<PodCondition, 'lastTransitionTime'>[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'Initialized', status: 'True' },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ]
  return wanted.map((condition) => {
    const held = pod.status?.conditions?.find(({ type }) => type === condition.type)
    const moved = held?.status !== condition.status
    return { ...condition, lastTransitionTime: moved ? rfc3339Seconds(nowMs) : (held.lastTransitionTime ?? rfc3339Seconds(nowMs)) }
  })
}
