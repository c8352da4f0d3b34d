import type { AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import {
  AGENT_CONTAINER,
  AGENT_PORT,
  AGENT_SESSIONS,
  CODE_DIRECTORY_ANNOTATION,
  INCARNATION_LABEL,
  RUNTIME_LABEL,
  SESSION_UID_LABEL,
  type AgentSession,
} from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import { podName } from '../../sessions/key.ts'
import type { VersionedSpec } from '../runtime/version.ts'
import type { OperatorSettings } from '../settings.ts'

/** The kubelet's own backstop, should operator and reaper be away: lifetime and this. */
const DEADLINE_SLACK_SECONDS = 60
/** SIGTERM, then SIGKILL: an SDK agent holds SIGTERM for 10 s while a stream is open, and a stop is due within 5. */
const GRACE_SECONDS = 4
/** A process kubelet pulls no image, but a pod must name one. */
const IMAGE_OF_CODE = 'carrel.dev/code'

/** The pod of one incarnation. Built by the operator alone: nothing a tenant writes reaches its metadata, but the code directory. */
export function podFor(session: AgentSession, incarnation: number, version: VersionedSpec, settings: OperatorSettings): Pod {
  const { name, namespace, uid } = session.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName(name, incarnation),
      namespace: namespace!,
      labels: {
        [SESSION_UID_LABEL]: uid!,
        [INCARNATION_LABEL]: String(incarnation),
        [RUNTIME_LABEL]: session.spec.runtimeRef.name,
      },
      ...annotationsOf(version.artifact, settings),
      ownerReferences: [
        {
          apiVersion: apiVersionOf(AGENT_SESSIONS),
          kind: AGENT_SESSIONS.kind,
          name,
          uid: uid!,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: version.lifecycle.maxLifetimeSeconds + DEADLINE_SLACK_SECONDS,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      containers: [
        {
          name: AGENT_CONTAINER,
          ...startOf(version.artifact, settings),
          env: environmentOf(version, settings),
          ports: [{ containerPort: AGENT_PORT, name: 'http' }],
        },
      ],
    },
  }
}

function annotationsOf(artifact: AgentRuntimeSpec['artifact'], settings: OperatorSettings): Pick<Pod['metadata'], 'annotations'> {
  if (settings.artifacts === 'container' || artifact.code === undefined) return {}
  return { annotations: { [CODE_DIRECTORY_ANNOTATION]: artifact.code.directory } }
}

function startOf(
  artifact: AgentRuntimeSpec['artifact'],
  settings: OperatorSettings,
): { image: string; command?: string[]; args?: string[] } {
  const { code, container } = artifact
  if (settings.artifacts === 'code') return { image: container?.image ?? IMAGE_OF_CODE, ...(code ? { command: code.command } : {}) }
  return {
    image: container?.image ?? IMAGE_OF_CODE,
    ...(container?.command ? { command: container.command } : {}),
    ...(container?.args ? { args: container.args } : {}),
  }
}

/** Contract 1.6. What the user sets wins. */
function environmentOf(version: VersionedSpec, settings: OperatorSettings): { name: string; value: string }[] {
  const environment = new Map([
    ['DOCKER_CONTAINER', '1'],
    ['AWS_REGION', settings.region],
    ['AWS_DEFAULT_REGION', settings.region],
    ...(version.environment ?? []).map(({ name, value }) => [name, value] as const),
  ])
  return Array.from(environment, ([name, value]) => ({ name, value }))
}
