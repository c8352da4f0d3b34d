/** Sessions and pods as Carrel itself makes them, with the status that operator and kubelet write. */
import { AGENT_CONTAINER, type AgentSession, type AgentSessionStatus } from '../../src/crds/agent-session.ts'
import { DEFAULT_LIFECYCLE, DEFAULT_LIMITS, type AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { DEFAULT_RESOURCES } from '../../src/crds/resources.ts'
import { DEFAULT_SECURITY_CONTEXT } from '../../src/crds/security-context.ts'
import { policyOf } from '../../src/gateway/policy.ts'
import { wantedSession, type Wanted } from '../../src/gateway/sessions/open.ts'
import type { ControllerRevision, Pod } from '../../src/kube/objects.ts'
import { podFor } from '../../src/operator/session/pod-for.ts'
import { revisionFor, type VersionedSpec } from '../../src/operator/runtime/version.ts'
import { operatorSettings } from '../../src/operator/settings.ts'

export const NAMESPACE = 'default'
const SETTINGS = operatorSettings.parse({ accountId: '000000000000', region: 'us-east-1' })

export const RUNTIME: AgentRuntime = {
  apiVersion: 'carrel.dev/v1alpha1',
  kind: 'AgentRuntime',
  metadata: { name: 'benched', namespace: NAMESPACE },
  spec: {
    artifact: { container: { image: 'registry.example/agents/benched:1.4.2' } },
    protocol: 'HTTP',
    environment: [
      { name: 'MODEL', value: 'a-model-id' },
      { name: 'LOG_LEVEL', value: 'info' },
    ],
    lifecycle: DEFAULT_LIFECYCLE,
    resources: DEFAULT_RESOURCES,
    securityContext: DEFAULT_SECURITY_CONTEXT,
    startTimeoutSeconds: 45,
    sessionOwnership: 'Caller',
    limits: DEFAULT_LIMITS,
  },
}

/** As the gateway asks for the session of one call. */
export function wantedAt(index: number, runtime: AgentRuntime): Wanted {
  const caller = { owner: { kind: 'iam', issuer: 'kubernetes', subject: `user-${index % 500}` }, mayReadLogs: async () => false }
  const sessionId = `bench-session-${String(index).padStart(8, '0')}-0123456789abcdef`
  return wantedSession({ runtime, runtimeId: 'benched-0000000000', endpoint: 'DEFAULT', policy: policyOf(runtime.spec) }, caller, sessionId)
}

export function podOf(session: AgentSession, revision: ControllerRevision<VersionedSpec>): Pod {
  return podFor(session, 1, revision, SETTINGS)
}

export function revisionOf(runtime: AgentRuntime): ControllerRevision<VersionedSpec> {
  return revisionFor(runtime, 1)
}

/** What openPod and watchOver write. */
export function runningSession(pod: Pod): AgentSessionStatus {
  const at = '2026-01-01T00:00:00.000Z'
  return {
    incarnation: 1,
    phase: 'Running',
    version: 1,
    podName: pod.metadata.name,
    podUID: pod.metadata.uid!,
    startedAt: at,
    expiresAt: '2026-01-01T08:00:00.000Z',
    idleTimeoutSeconds: 900,
    startTimeoutSeconds: 45,
    conditions: [{ type: 'Ready', status: 'True', reason: 'Running', message: `pod ${pod.metadata.name} answers`, lastTransitionTime: at }],
  }
}

/** What a kubelet writes of a pod that runs. */
export function runningPod(index: number): Pod['status'] {
  const at = '2026-01-01T00:00:00Z'
  const podIP = `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`
  const image = RUNTIME.spec.artifact.container!.image
  const digest = 'a'.repeat(64)
  const types = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']
  return {
    phase: 'Running',
    hostIP: '10.0.0.7',
    hostIPs: [{ ip: '10.0.0.7' }],
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: at,
    qosClass: 'BestEffort',
    conditions: types.map((type) => ({ type, status: 'True', lastTransitionTime: at })),
    containerStatuses: [
      {
        name: AGENT_CONTAINER,
        image,
        imageID: `registry.example/agents/benched@sha256:${digest}`,
        containerID: `containerd://${digest}`,
        restartCount: 0,
        started: true,
        ready: true,
        state: { running: { startedAt: at } },
      },
    ],
  }
}
