import { RUNTIME_LABEL } from '../../crds/agent-session.ts'
import type { Placement } from '../../crds/placement.ts'
import type { Pod } from '../../kube/objects.ts'

type Spec = NonNullable<Pod['spec']>

/** How long a pod stays bound to a node that is silent (design rule 2); Kubernetes' own default is five minutes. */
const NODE_GONE_SECONDS = 30

const NODE_GONE = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
  key,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: NODE_GONE_SECONDS,
}))

/** Of several tolerations of one taint Kubernetes takes the shortest: nobody stays longer on a silent node. */
export function placementOf(
  { nodeSelector, tolerations = [], affinity }: Placement,
  runtimeName: string,
): Pick<Spec, 'nodeSelector' | 'tolerations' | 'affinity' | 'topologySpreadConstraints'> {
  return {
    ...(nodeSelector ? { nodeSelector } : {}),
    ...(affinity ? { affinity: affinity as NonNullable<Spec['affinity']> } : {}),
    tolerations: [...NODE_GONE, ...(tolerations as NonNullable<Spec['tolerations']>)],
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { [RUNTIME_LABEL]: runtimeName } },
      },
    ],
  }
}
