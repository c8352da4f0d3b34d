import type { KubeObject, Pod, Secret } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'

type Namespace = KubeObject & { spec?: object; status?: object }

/** A built-in object with what the server fills in, on any write; on the first one also its first status. */
export function defaulted(kind: ServedKind, object: KubeObject, old: KubeObject | undefined): KubeObject {
  switch (kind.kind) {
    case 'Namespace':
      return namespaceOf(object, old)
    case 'Pod':
      return podOf(object as Pod, old)
    case 'Secret':
      return secretOf(object as Secret)
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

function podOf(pod: Pod, old: KubeObject | undefined): Pod {
  if (!Array.isArray(pod.spec?.containers)) return pod
  const containers = pod.spec.containers.map((container) => ({
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
    ...container,
  }))
  const always = {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    serviceAccountName: 'default',
  }
  const filled: Pod = { ...pod, spec: { ...always, ...pod.spec, containers } }
  return old ? filled : { ...filled, status: { phase: 'Pending', qosClass: 'BestEffort' } }
}

/** `stringData` is for writing only. */
function secretOf({ stringData, ...secret }: Secret): Secret {
  const written = Object.entries(stringData ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
  const data = { ...secret.data, ...Object.fromEntries(written) } as Record<string, string>
  return { ...secret, type: secret.type ?? 'Opaque', ...(Object.keys(data).length > 0 ? { data } : {}) } as Secret
}
