import { AGENT_CONTAINER } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import type { Ending } from './step.ts'

type Terminated = NonNullable<NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]['state']>['terminated']

/** Why the API server or a controller has a pod deleted (condition DisruptionTarget), by its reason. */
const DISRUPTIONS: Record<string, { reason: EndReason; how: string }> = {
  EvictionByEvictionAPI: { reason: 'Evicted', how: 'was evicted: its node is drained' },
  PreemptionByScheduler: { reason: 'Evicted', how: 'gave way to a pod of a higher priority' },
  TerminationByKubelet: { reason: 'Evicted', how: 'was ended by its node' },
  DeletionByTaintManager: { reason: 'Evicted', how: 'was evicted: its node has a taint that it does not tolerate' },
  DeletionByPodGC: { reason: 'NodeLost', how: 'went with its node' },
}
/** What kubelet says of a pod that it refuses to start: another node might take it. */
const REFUSED_BY_NODE =
  /^(OutOf\w+|NodeAffinity|NodePorts|NodeName|NodeUnschedulable|TaintToleration|TopologyAffinityError|UnexpectedAdmissionError|PodOSNotSupported|\w*AdmissionError)$/
/** Of kubelet's evictions, those that the pod itself brought about. */
const STORAGE = /exceed(s|ed) .*(ephemeral|storage|limit)|EmptyDir volume .* exceeds/i
const NEXT = 'the next call opens a new one'

/** Why a pod's session is over, by the pod's status; undefined while it is not. `started`: its agent has answered once. */
export function endingOfPod(
  pod: Pod,
  { started, memoryLimit }: { started: boolean; memoryLimit: () => string | undefined },
): Ending | undefined {
  const { name, deletionTimestamp } = pod.metadata
  const { phase, reason, message } = pod.status ?? {}
  const ended = pod.status?.containerStatuses?.find((container) => container.name === AGENT_CONTAINER)?.state?.terminated
  const byKubelet = reason && endingByKubelet(reason, message || `${reason}: pod ${name}`, started)
  if (byKubelet) return byKubelet
  if (deletionTimestamp || disruptionOf(pod)) return endingOfDeleted(pod)
  const failed = started ? 'AgentExited' : 'StartFailed'
  if (ended?.reason === 'OOMKilled') return outOfMemory(ended, started, memoryLimit())
  if (ended) return { reason: failed, message: storyOf(ended, started) }
  if (phase === 'Failed' || phase === 'Succeeded') return { reason: failed, message: message || `pod ${name} ended: ${reason ?? phase}` }
  return undefined
}

/** Who or what has this pod deleted; undefined of a plain deletion. */
export function disruptionOf(pod: Pod): string | undefined {
  return pod.status?.conditions?.find(({ type, status }) => type === 'DisruptionTarget' && status === 'True')?.reason
}

/** status.reason of a pod: why kubelet, not the agent, ended it. */
function endingByKubelet(reason: string, message: string, started: boolean): Ending | undefined {
  switch (reason) {
    case 'KubeletRestarted':
    case 'NodeShutdown':
      return { reason: 'PodLost', message }
    case 'Evicted':
      return STORAGE.test(message)
        ? { reason: 'StorageExceeded', message: `${message.trim()} Raise it, or write less (spec.resources.limits, spec.volumes).` }
        : { reason: 'Evicted', message: `${message.trim()} ${NEXT}` }
    case 'Terminated':
    case 'Shutdown':
    case 'Preempting':
    case 'Preempted':
      return { reason: 'Evicted', message }
    case 'NodeLost':
      return { reason: 'NodeLost', message }
    case 'DeadlineExceeded':
      return { reason: 'MaxLifetime', message: "the pod's activeDeadlineSeconds have passed" }
  }
  if (!started && REFUSED_BY_NODE.test(reason)) return { reason: 'Unschedulable', message: `the node refused the pod: ${message}` }
  return undefined
}

function endingOfDeleted(pod: Pod): Ending {
  const { name } = pod.metadata
  const disruption = DISRUPTIONS[disruptionOf(pod) ?? '']
  if (disruption) return { reason: disruption.reason, message: `pod ${name} ${disruption.how}; ${NEXT}` }
  return { reason: 'PodLost', message: `pod ${name} was deleted; ${NEXT}` }
}

function outOfMemory(ended: NonNullable<Terminated>, started: boolean, limit: string | undefined): Ending {
  const more = limit ? `than its limit of ${limit}` : 'than it may'
  const when = started ? '' : ' before it answered GET /ping'
  return {
    reason: 'OutOfMemory',
    message: `the agent used more memory ${more}${when} and was ended with code ${ended.exitCode}: raise spec.resources.limits.memory`,
  }
}

function storyOf(ended: NonNullable<Terminated>, started: boolean): string {
  const how = ended.message?.trim() || `the agent exited with code ${ended.exitCode}${signalOf(ended)}${hintOf(ended)}`
  return started ? how : `${how}, before it answered GET /ping`
}

/** A shell's and a runtime's way to say it: 128 and the signal. */
function signalOf({ exitCode, signal }: NonNullable<Terminated>): string {
  const number = signal || (exitCode > 128 && exitCode < 160 ? exitCode - 128 : undefined)
  return number ? ` (signal ${number})` : ''
}

function hintOf({ exitCode }: NonNullable<Terminated>): string {
  if (exitCode === 126) return ' (what its command names may not be executed)'
  if (exitCode === 127) return ' (what its command names is not in the image)'
  return ''
}
