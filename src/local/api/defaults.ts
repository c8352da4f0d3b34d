import type { KubeObject, Pod, Secret } from '../../kube/objects.ts'
import { bindingOf, roleOf } from './rbac/defaults.ts'
import type { Binding, Role } from './rbac/policy.ts'
import type { ServedKind } from './served-kinds.ts'

type Namespace = KubeObject & { spec?: object; status?: object }

/** A built-in object with what the server fills in, on any write; on the first one also its first status. */
export function defaulted(kind: ServedKind, object: KubeObject, old: KubeObject | undefined): KubeObject {
  switch (kind.kind) {
    case 'Namespace':
      return namespaceOf(object, old)
    case 'Pod':
      return podOf(object as Pod, old)
    case 'ControllerRevision':
      return { revision: 0, ...object } as KubeObject
    case 'Lease':
      return { spec: {}, ...object } as KubeObject
    case 'Secret':
      return secretOf(object as Secret)
    case 'Role':
    case 'ClusterRole':
      return roleOf(object as Role)
    case 'RoleBinding':
    case 'ClusterRoleBinding':
      return bindingOf(object as Binding)
    default:
      return object
  }
}

/** What holds a namespace while it has content is not for callers to change. */
function namespaceOf(object: Namespace, old: Namespace | undefined): Namespace {
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
  const named: Namespace = { ...object, metadata: { ...object.metadata, labels } }
  return old ? { ...named, spec: old.spec ?? {} } : { ...named, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
}

/** What a pod without tolerations of its own gets: it stays for five minutes where its node is out of reach. */
const OF_A_LOST_NODE = ['not-ready', 'unreachable'].map((state) => ({
  key: `node.kubernetes.io/${state}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
}))

function podOf(pod: Pod, old: KubeObject | undefined): Pod {
  if (!Array.isArray(pod.spec?.containers)) return pod
  const containers = pod.spec.containers.map((container) => ({
    imagePullPolicy: pullPolicyOf(container.image),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
    ...container,
    ...portsOf(container),
  }))
  const always = {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    ...(old ? {} : accountOf(pod)),
    securityContext: {},
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
  }
  const filled: Pod = { ...pod, spec: { ...always, ...pod.spec, containers, tolerations: toleratedBy(pod.spec.tolerations ?? []) } } as Pod
  return old ? withStatus(filled) : { ...filled, status: { phase: 'Pending', qosClass: qosClassOf(containers) } }
}

function portsOf({ ports }: { ports?: object[] }): { ports?: object[] } {
  return ports === undefined ? {} : { ports: ports.map((port) => ({ protocol: 'TCP', ...port })) }
}

interface Toleration {
  key?: string
  effect?: string
}

function toleratedBy(own: readonly Toleration[]): readonly Toleration[] {
  const isMissing = ({ key }: Toleration): boolean =>
    !own.some((each) => (each.key === undefined || each.key === key) && (each.effect === undefined || each.effect === 'NoExecute'))
  return [...own, ...OF_A_LOST_NODE.filter(isMissing)]
}

interface Resources {
  limits?: Record<string, string>
  requests?: Record<string, string>
}

/** How much a node may squeeze the pod: by what all containers ask for of CPU and memory, and what limits them. */
function qosClassOf(containers: readonly { resources?: Resources }[]): 'BestEffort' | 'Burstable' | 'Guaranteed' {
  const asked = containers.flatMap(({ resources: { limits = {}, requests = {} } = {} }) =>
    ['cpu', 'memory'].map((name) => ({ limit: limits[name], request: requests[name] ?? limits[name] })),
  )
  if (asked.every(({ limit, request }) => limit === undefined && request === undefined)) return 'BestEffort'
  return asked.every(({ limit, request }) => limit !== undefined && limit === request) ? 'Guaranteed' : 'Burstable'
}

/** Filled in when a pod is made, and never later. The older name of the field says the same. */
function accountOf({ spec }: Pod): object {
  const serviceAccountName = spec?.serviceAccountName ?? 'default'
  return { serviceAccountName, serviceAccount: serviceAccountName }
}

/** An image without a tag, or with `latest`, is another one every day. */
function pullPolicyOf(image: string | undefined): string {
  const [, tag = 'latest'] = /:([^:/@]+)(?:@.*)?$/.exec(image ?? '') ?? []
  return tag === 'latest' && !image?.includes('@') ? 'Always' : 'IfNotPresent'
}

/** The forms that a status always has: times of conditions are there, if null, and the address is also the first of a list. */
function withStatus(pod: Pod): Pod {
  const { conditions, podIP, podIPs } = (pod.status ?? {}) as { conditions?: object[]; podIP?: string; podIPs?: { ip: string }[] }
  if (pod.status === undefined) return pod
  const timed = conditions?.map((condition) => ({ lastProbeTime: null, lastTransitionTime: null, ...condition }))
  const addresses = podIP && podIPs?.[0]?.ip !== podIP ? { podIPs: [{ ip: podIP }] } : {}
  return { ...pod, status: { ...pod.status, ...(timed ? { conditions: timed } : {}), ...addresses } as NonNullable<Pod['status']> }
}

/** `stringData` is for writing only. */
function secretOf({ stringData, ...secret }: Secret): Secret {
  const written = Object.entries(stringData ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
  const data = { ...secret.data, ...Object.fromEntries(written) } as Record<string, string>
  return { ...secret, type: secret.type ?? 'Opaque', ...(Object.keys(data).length > 0 ? { data } : {}) } as Secret
}
