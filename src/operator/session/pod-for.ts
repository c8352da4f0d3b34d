import type { AgentRuntimeSpec } from '../../crds/agent-runtime.ts'
import {
  AGENT_SESSIONS,
  CODE_DIRECTORY_ANNOTATION,
  INCARNATION_LABEL,
  RUNTIME_LABEL,
  SESSION_UID_LABEL,
  VERSION_LABEL,
  type AgentSession,
} from '../../crds/agent-session.ts'
import type { ControllerRevision, Pod } from '../../kube/objects.ts'
import { apiVersionOf } from '../../kube/resource.ts'
import { podName } from '../../sessions/key.ts'
import { containerSpec, processSpec } from '../pod/spec.ts'
import { withDefaults, type VersionedSpec } from '../runtime/version.ts'
import type { OperatorSettings } from '../settings.ts'

/** The pod of one incarnation. Built by the operator alone: nothing a tenant writes reaches its metadata, but the code directory. */
export function podFor(
  session: AgentSession,
  incarnation: number,
  { data, revision }: Pick<ControllerRevision<VersionedSpec>, 'data' | 'revision'>,
  settings: OperatorSettings,
): Pod {
  const { name, namespace, uid } = session.metadata
  const version = withDefaults(data)
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
        [VERSION_LABEL]: String(revision),
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
    spec: settings.artifacts === 'code' ? processSpec(version, settings) : containerSpec(version, session, settings),
  }
}

function annotationsOf(artifact: AgentRuntimeSpec['artifact'], settings: OperatorSettings): Pick<Pod['metadata'], 'annotations'> {
  if (settings.artifacts === 'container' || artifact.code === undefined) return {}
  return { annotations: { [CODE_DIRECTORY_ANNOTATION]: artifact.code.directory } }
}
