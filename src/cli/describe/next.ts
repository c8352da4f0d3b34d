import type { AgentSession } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import { phaseOf } from '../sessions/row.ts'

type Advice = (named: { runtime: string; namespace: string; session: string }) => string

const REOPEN = 'The next call of the same session id opens the next incarnation, in a new pod.'
const logs: Advice = ({ session, namespace }) => `Read what it wrote: carrel logs ${session} -n ${namespace}.`

/** What to do about each end. The sentences of `END_REASON_MEANING` say what happened; the message of the session says it exactly. */
const AFTER: Record<EndReason, Advice> = {
  IdleTimeout: () => `${REOPEN} To keep it longer: spec.lifecycle.idleTimeoutSeconds, or answer GET /ping with HealthyBusy while it works.`,
  MaxLifetime: () => `${REOPEN} To let it live longer: spec.lifecycle.maxLifetimeSeconds.`,
  Stopped: () => REOPEN,
  Unhealthy: (named) => `${logs(named)} GET /ping on port 8080 must answer 200 within a second, whatever the agent does. ${REOPEN}`,
  AgentExited: (named) => `${logs(named)} An agent serves until it is told to end. ${REOPEN}`,
  OutOfMemory: ({ runtime }) => `Raise spec.resources.limits.memory of AgentRuntime ${runtime}, or use less. ${REOPEN}`,
  StorageExceeded: ({ runtime }) =>
    `Raise spec.resources.limits.ephemeral-storage of AgentRuntime ${runtime}, write less, or mount a volume (spec.volumes). ${REOPEN}`,
  Evicted: () => `${REOPEN} Where nodes run short: raise spec.resources.requests, so that the scheduler counts it.`,
  PodLost: () => `${REOPEN} Pods of sessions end with StopRuntimeSession; somebody deleted this one.`,
  NodeLost: () => `${REOPEN} See the node: kubectl get nodes.`,
  StartFailed: (named) =>
    `${logs(named)} It must answer GET /ping on port 8080 within spec.startTimeoutSeconds. Try it: docker run -p 8080:8080 IMAGE.`,
  ImageNotFound: ({ runtime }) => `Push the image, or correct spec.artifact.container.image of AgentRuntime ${runtime}.`,
  ImagePullDenied: ({ runtime, namespace }) =>
    `Make a secret (kubectl create secret docker-registry NAME -n ${namespace} …) and name it in spec.artifact.container.imagePullSecrets of ${runtime}.`,
  WrongArchitecture: ({ runtime }) =>
    `Build the image for the nodes' processor (docker buildx build --platform linux/amd64,linux/arm64), or place ${runtime} on nodes of its own: spec.placement.nodeSelector kubernetes.io/arch.`,
  RuntimeClassMissing: () =>
    'kubectl get runtimeclasses shows what there is. The chart makes them by runtimeClasses.create; docs/guide/kata.md installs Kata.',
  Unschedulable: ({ runtime }) =>
    `Lower spec.resources.requests of AgentRuntime ${runtime}, loosen spec.placement, or add nodes. The message says what each node lacks.`,
  QuotaExceeded: ({ namespace }) => `kubectl describe resourcequota -n ${namespace} shows what is used. End sessions, or raise it.`,
  AdmissionRefused: ({ namespace }) =>
    `The message names the field or the policy. The Pod Security level is a label of the namespace: kubectl get namespace ${namespace} --show-labels.`,
  RuntimeDeleted: () => 'Apply the AgentRuntime again: it gets a new id, and sessions of its own.',
}

/** What a person can do now; undefined when there is nothing to be done. */
export function adviceOn(session: AgentSession, pod: Pod | undefined): string | undefined {
  const { metadata, spec, status } = session
  const named = { runtime: spec.runtimeRef.name, namespace: metadata.namespace ?? 'default', session: metadata.name }
  const phase = phaseOf(session)
  if (status?.endReason !== undefined && (phase === 'Terminated' || phase === 'Terminating')) return AFTER[status.endReason](named)
  if (phase !== 'Pending') return undefined
  if (pod === undefined) {
    return status?.podName === undefined
      ? 'The operator makes its pod. If nothing happens: kubectl logs -n carrel-system deployment/carrel-operator.'
      : undefined
  }
  if (pod.spec?.nodeName === undefined) return AFTER.Unschedulable(named)
  return `It waits for the first good GET /ping on port 8080. Watch it: carrel logs ${named.session} -n ${named.namespace} --follow.`
}
