import { AGENT_CONTAINER } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import { pullFailure, withoutQueries } from './image-pull.ts'
import type { Ending } from './step.ts'

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]
/** What kubelet tells of a pod by events alone. */
export interface PodEvent {
  reason: string
  note: string
}

/** Why a pod will not start, as its status says it; undefined while waiting may help. Pure. */
export function startFailureOf(pod: Pod): Ending | undefined {
  for (const container of inOrder(pod)) {
    const { waiting, terminated } = container.state ?? {}
    const found = waiting && failureOfWaiting(container, waiting.reason ?? '', waiting.message ?? '')
    if (found) return ofItsContainer(container, found)
    if (terminated && container.name !== AGENT_CONTAINER) return ofItsContainer(container, endOfSidecar(terminated))
  }
  return undefined
}

/** The same of the events of a pod that has no address yet: its status says nothing of its sandbox and its volumes. Pure. */
export function failureInEvents(events: readonly PodEvent[]): Ending | undefined {
  for (const { reason, note } of events) {
    const found = failureOfEvent(reason, note)
    if (found) return found
  }
  return undefined
}

/** What a pod still waits for when its time to start is over; undefined: for its agent's first good ping. Pure. */
export function waitsFor(pod: Pod, events: readonly PodEvent[]): Ending | undefined {
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False')
  if (unscheduled)
    return {
      reason: 'Unschedulable',
      message: `no node takes the pod: make room, or lower spec.resources or widen spec.placement (${unscheduled.message ?? unscheduled.reason})`,
    }
  for (const container of inOrder(pod)) {
    const { reason = '', message } = container.state?.waiting ?? {}
    if (message) return ofItsContainer(container, { reason: 'StartFailed', message: `${reason}: ${withoutQueries(message)}` })
  }
  const last = events.at(-1)
  if (last === undefined) return undefined
  if (last.reason === 'Pulling')
    return {
      reason: 'StartFailed',
      message: `the image is still being pulled: raise spec.startTimeoutSeconds, make it smaller, or have it on the nodes beforehand (${last.note})`,
    }
  return { reason: 'StartFailed', message: `${last.reason}: ${withoutQueries(last.note)}` }
}

/** The agent first: what ails it is the user's to mend. */
function inOrder(pod: Pod): ContainerStatus[] {
  const statuses = pod.status?.containerStatuses ?? []
  return statuses.toSorted((a, b) => Number(b.name === AGENT_CONTAINER) - Number(a.name === AGENT_CONTAINER))
}

/** The sidecar is none of the user's: whatever ails it is told as a failed start, to whom it may concern. */
function ofItsContainer({ name }: ContainerStatus, ending: Ending): Ending {
  if (name === AGENT_CONTAINER) return ending
  return {
    reason: 'StartFailed',
    message: `container ${name} of Carrel's own does not start, a matter of the installation: ${ending.message}`,
  }
}

/** Without it no call is proven to have met its own pod, and nothing is measured. */
function endOfSidecar({ exitCode, reason, message }: NonNullable<NonNullable<ContainerStatus['state']>['terminated']>): Ending {
  return { reason: 'StartFailed', message: `it has ended with code ${exitCode} (${message?.trim() || reason})` }
}

function failureOfWaiting({ image, name }: ContainerStatus, reason: string, message: string): Ending | undefined {
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff': {
      const failure = pullFailure(image, message)
      return failure === 'wait' ? undefined : failure
    }
    case 'ErrImageNeverPull':
      return {
        reason: 'ImageNotFound',
        message: `image ${image} is not on the node, and imagePullPolicy Never forbids to pull it (spec.artifact.container.imagePullPolicy)`,
      }
    case 'InvalidImageName':
      return { reason: 'ImageNotFound', message: `${image} is no name of an image: correct spec.artifact.container.image (${message})` }
    case 'CreateContainerConfigError':
      return failureOfConfiguration(message)
    case 'CreateContainerError':
    case 'RunContainerError':
      return isPassing(message) ? undefined : { reason: 'StartFailed', message: `container ${name} cannot be made: ${message}` }
  }
  return undefined
}

/** A Secret or ConfigMap that is not there, a user that may not be: somebody has to change something. */
function failureOfConfiguration(message: string): Ending | undefined {
  if (/runAsNonRoot/.test(message))
    return {
      reason: 'StartFailed',
      message: `the image's user is root, or has a name where a number is needed: set spec.securityContext.runAsUser to the number of a user that may run it (${message})`,
    }
  if (/not found|couldn't find key/.test(message))
    return { reason: 'StartFailed', message: `what spec.environment or spec.volumes refer to is not there: ${message}` }
  return undefined
}

function failureOfEvent(reason: string, note: string): Ending | undefined {
  switch (reason) {
    case 'FailedCreatePodSandBox': {
      const missing =
        /no runtime for "([^"]*)" is configured|runtime handler "?([^" ]*)"? .*(?:not found|is not supported)|failed to find runtime handler (\S+)|RuntimeClass\S* "([^"]*)" not found/i.exec(
          note,
        )
      if (!missing) return undefined
      return {
        reason: 'RuntimeClassMissing',
        message: `the pod's node has no runtime handler ${missing.slice(1).find(Boolean)}: choose another spec.runtimeClassName, or install it on the nodes and say in the RuntimeClass's scheduling which ones have it (${note})`,
      }
    }
    case 'FailedMount':
      if (/\b(secret|configmap|persistentvolumeclaim) "[^"]*" not found|references non-existent (secret|config) key/i.test(note))
        return { reason: 'StartFailed', message: `what spec.volumes refers to is not there: ${note}` }
      return undefined
    case 'Failed': {
      const image = /^Failed to pull image "([^"]*)"/.exec(note)?.[1]
      const failure = image === undefined ? 'wait' : pullFailure(image, note.slice(note.indexOf(': ') + 2))
      return failure === 'wait' ? failureOfConfiguration(note) : failure
    }
  }
  return undefined
}

/** Of the node's own making, and gone at the next try. */
function isPassing(message: string): boolean {
  return /context deadline exceeded|is reserved for|transport is closing|connection refused|code = Unavailable/i.test(message)
}
