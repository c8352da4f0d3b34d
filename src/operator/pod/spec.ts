import type { AgentSession } from '../../crds/agent-session.ts'
import { AGENT_CONTAINER, AGENT_PORT } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { VersionedSpec } from '../runtime/version.ts'
import { meterBeside, type OperatorSettings } from '../settings.ts'
import { agentContainer, environmentOf } from './agent.ts'
import { meterContainer } from './meter.ts'
import { placementOf } from './placement.ts'
import { volumesOf } from './volumes.ts'

type Spec = NonNullable<Pod['spec']>

/** The kubelet's own backstop, should operator and reaper be away: lifetime and this. */
const DEADLINE_SLACK_SECONDS = 60
/** A process kubelet pulls no image, but a pod must name one. */
const IMAGE_OF_CODE = 'carrel.dev/code'

/** What every pod of a session says, whoever runs it. */
function life({ lifecycle }: VersionedSpec): Omit<Spec, 'containers'> {
  return {
    restartPolicy: 'Never',
    activeDeadlineSeconds: lifecycle.maxLifetimeSeconds + DEADLINE_SLACK_SECONDS,
    terminationGracePeriodSeconds: lifecycle.stopGraceSeconds,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
  }
}

/** For a kubelet that runs code directories as processes of this machine: the agent alone, and nothing of an isolation that it cannot give. */
export function processSpec(version: VersionedSpec, settings: OperatorSettings): Spec {
  const { code, container } = version.artifact
  return {
    ...life(version),
    containers: [
      {
        name: AGENT_CONTAINER,
        image: container?.image ?? IMAGE_OF_CODE,
        ...(code ? { command: code.command } : {}),
        env: environmentOf(version, settings.region),
        ports: [{ containerPort: AGENT_PORT, name: 'http' }],
      },
    ],
  }
}

/**
 * For a cluster: agent first, then the meter. Accepted by Pod Security `restricted`, unless the runtime asks for root.
 * `hostUsers` stays unset, as Kata has no user namespaces and its kubelet would refuse the pod.
 */
export function containerSpec(version: VersionedSpec, session: AgentSession, settings: OperatorSettings): Spec {
  const meter = meterBeside(settings)
  const { securityContext, serviceAccountName, volumes = [] } = version
  const { fsGroup } = securityContext
  const runtimeClassName = version.runtimeClassName ?? settings.defaultRuntimeClass
  const pullSecrets = [
    ...(version.artifact.container?.imagePullSecrets ?? []),
    ...(meter ? settings.meterImagePullSecrets.map((name) => ({ name })) : []),
  ]
  return {
    ...life(version),
    ...(serviceAccountName === undefined ? {} : { serviceAccountName, automountServiceAccountToken: true }),
    ...(runtimeClassName === '' ? {} : { runtimeClassName }),
    shareProcessNamespace: false,
    ...(fsGroup === undefined ? {} : { securityContext: { fsGroup, fsGroupChangePolicy: 'OnRootMismatch' } }),
    ...(pullSecrets.length > 0 ? { imagePullSecrets: pullSecrets } : {}),
    ...placementOf(version.placement ?? {}, session.spec.runtimeRef.name),
    containers: [
      agentContainer(version, version.artifact.container?.image ?? IMAGE_OF_CODE, settings.region),
      ...(meter ? [meterContainer(meter.image, session.metadata.uid!, settings)] : []),
    ],
    ...(volumes.length > 0 ? { volumes: volumesOf(volumes) } : {}),
  }
}
