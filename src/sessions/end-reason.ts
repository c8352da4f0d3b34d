/**
 * Why an incarnation of a session ended. Closed: the CRD refuses any other, and every reason has a sentence that says
 * what it means for the caller.
 */
export const END_REASONS = [
  'IdleTimeout',
  'MaxLifetime',
  'Stopped',
  'Unhealthy',
  'AgentExited',
  'OutOfMemory',
  'StorageExceeded',
  'Evicted',
  'PodLost',
  'NodeLost',
  'StartFailed',
  'ImageNotFound',
  'ImagePullDenied',
  'WrongArchitecture',
  'RuntimeClassMissing',
  'Unschedulable',
  'QuotaExceeded',
  'AdmissionRefused',
  'RuntimeDeleted',
] as const

export type EndReason = (typeof END_REASONS)[number]

export const END_REASON_MEANING: Record<EndReason, string> = {
  IdleTimeout: 'no call, no open stream and no HealthyBusy for spec.lifecycle.idleTimeoutSeconds',
  MaxLifetime: 'spec.lifecycle.maxLifetimeSeconds have passed since it started',
  Stopped: 'StopRuntimeSession was called',
  Unhealthy: 'GET /ping failed three times in a row',
  AgentExited: "the agent's process ended by itself",
  OutOfMemory: 'the agent used more memory than spec.resources.limits.memory',
  StorageExceeded: 'the agent wrote more than spec.resources.limits.ephemeral-storage',
  Evicted: 'its pod was evicted: its node was drained or short of something',
  PodLost: 'its pod was deleted, or did not survive a restart of the installation',
  NodeLost: "its pod's node stopped answering",
  StartFailed: 'the agent did not start',
  ImageNotFound: "the agent's image is in no registry under that name",
  ImagePullDenied: 'the registry does not give the image to this cluster: spec.artifact.container.imagePullSecrets',
  WrongArchitecture: "the agent's image is for another processor than its node's",
  RuntimeClassMissing: 'the cluster has no RuntimeClass of that name, or no node that serves it',
  Unschedulable: 'no node has room for the pod',
  QuotaExceeded: 'a ResourceQuota of the namespace leaves no room for the pod',
  AdmissionRefused: 'the API server refused the pod: a policy of the namespace, or a field that it does not take',
  RuntimeDeleted: 'its AgentRuntime was deleted',
}

/** Of a session that never ran: the call that waited for it is told why, and is not tried again. */
const START_FAILURES: ReadonlySet<EndReason> = new Set([
  'StartFailed',
  'ImageNotFound',
  'ImagePullDenied',
  'WrongArchitecture',
  'RuntimeClassMissing',
  'Unschedulable',
  'QuotaExceeded',
  'AdmissionRefused',
])

export const isStartFailure = (reason: EndReason): boolean => START_FAILURES.has(reason)

/** One that ends so before it has run would most likely do it again. */
const REPEATED: ReadonlySet<EndReason> = new Set(['OutOfMemory', 'StorageExceeded'])

/** Whether a call that has waited for this very incarnation is answered by its end, where others open the next one. */
export function answersItsCall(reason: EndReason, { hasRun }: { hasRun: boolean }): boolean {
  return START_FAILURES.has(reason) || reason === 'RuntimeDeleted' || (!hasRun && REPEATED.has(reason))
}

/** As somebody meant it; people are warned of every other. */
const MEANT: ReadonlySet<EndReason> = new Set(['IdleTimeout', 'MaxLifetime', 'Stopped', 'RuntimeDeleted'])

export const isMeant = (reason: EndReason): boolean => MEANT.has(reason)
