import { isDeepStrictEqual } from 'node:util'
import { admit } from '../../crds/admit.ts'
import type { KubeObject, Pod, Secret } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'
import { invalid, type Cause } from './statuses.ts'

export interface RuleInput {
  kind: ServedKind
  object: KubeObject
  /** Absent on create. */
  old?: KubeObject
  subresource?: 'status'
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
}

export interface Ruled {
  object: KubeObject
  warnings: string[]
}

/** What the server does to an object before it is stored: defaults and validation. Throws 422 or 400. */
export function applyRules(input: RuleInput): Ruled {
  const { kind, object, old, subresource } = input
  if (kind.definition) return applyDefinition(input)
  const causes = [...(old ? [] : nameCauses(object)), ...builtInCauses(kind, object, old, subresource)]
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes)
  return { object: old || subresource ? normalised(kind, object) : defaulted(kind, normalised(kind, object)), warnings: [] }
}

function applyDefinition({ kind, object, old, subresource, fieldValidation }: RuleInput): Ruled {
  const causes = old ? [] : nameCauses(object)
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes)
  const outcome = admit(kind.definition!, { object, fieldValidation, ...(old ? { old } : {}), ...(subresource ? { subresource } : {}) })
  if ('refused' in outcome) throw invalid(kind, object.metadata.name, outcome.refused.causes)
  return outcome
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const SUBDOMAIN_MESSAGE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

function nameCauses({ metadata: { name } }: KubeObject): Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')]
  if (name.length <= 253 && SUBDOMAIN.test(name)) return []
  return [invalidValue('metadata.name', name, name.length > 253 ? 'must be no more than 253 characters' : SUBDOMAIN_MESSAGE)]
}

function builtInCauses(kind: ServedKind, object: KubeObject, old: KubeObject | undefined, subresource: 'status' | undefined): Cause[] {
  switch (kind.kind) {
    case 'Pod':
      return subresource ? [] : podCauses(object as Pod, old as Pod | undefined)
    case 'Secret':
      return secretCauses(object as Secret, old as Secret | undefined)
    case 'ControllerRevision':
      return revisionCauses(object as KubeObject & { data?: unknown; revision?: unknown }, old as KubeObject & { data?: unknown })
    default:
      return []
  }
}

function podCauses(pod: Pod, old: Pod | undefined): Cause[] {
  if (old) {
    const same = isDeepStrictEqual(immutablePart(pod), immutablePart(old))
    return same ? [] : [{ reason: 'FieldValueForbidden', field: 'spec', message: 'Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)' }]
  }
  if (!pod.spec?.containers?.length) return [required('spec.containers', '')]
  return pod.spec.containers.flatMap((container, index) => [
    ...(container.name ? [] : [required(`spec.containers[${index}].name`, '')]),
    ...(container.image ? [] : [required(`spec.containers[${index}].image`, '')]),
  ])
}

function immutablePart(pod: Pod): unknown {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, containers, ...rest } = pod.spec!
  return { ...rest, containers: containers.map(({ image: _image, ...container }) => container) }
}

function secretCauses(secret: Secret, old: Secret | undefined): Cause[] {
  const causes: Cause[] = []
  if (old && secret.type !== undefined && secret.type !== old.type) causes.push(invalidValue('type', secret.type, 'field is immutable'))
  if (old?.immutable && !isDeepStrictEqual(secret.data, old.data)) causes.push({ reason: 'FieldValueForbidden', field: 'data', message: 'Forbidden: field is immutable when `immutable` is set' })
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    if (typeof value !== 'string' || Buffer.from(value, 'base64').toString('base64') !== value) causes.push(invalidValue(`data[${key}]`, String(value), 'must be base64'))
  }
  return causes
}

function revisionCauses(revision: KubeObject & { data?: unknown; revision?: unknown }, old: (KubeObject & { data?: unknown }) | undefined): Cause[] {
  if (old) return isDeepStrictEqual(revision.data, old.data) ? [] : [{ reason: 'FieldValueInvalid', field: 'data', message: 'Invalid value: field is immutable' }]
  return typeof revision.revision === 'number' ? [] : [required('revision', '')]
}

/** Applies to creates and updates alike. */
function normalised(kind: ServedKind, object: KubeObject): KubeObject {
  if (kind.kind !== 'Secret') return object
  const { stringData, ...secret } = object as Secret
  const written = Object.entries(stringData ?? {}).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
  const data = { ...secret.data, ...Object.fromEntries(written) } as Record<string, string>
  return { ...secret, type: secret.type ?? 'Opaque', ...(Object.keys(data).length > 0 ? { data } : {}) } as Secret
}

function defaulted(kind: ServedKind, object: KubeObject): KubeObject {
  if (kind.kind === 'Namespace') return Object.assign({}, object, { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } })
  if (kind.kind !== 'Pod') return object
  const pod = object as Pod
  const filled: Pod = {
    ...pod,
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      serviceAccountName: 'default',
      ...pod.spec!,
      containers: pod.spec!.containers.map((container) => ({ imagePullPolicy: 'IfNotPresent', terminationMessagePath: '/dev/termination-log', resources: {}, ...container })),
    },
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  }
  return filled
}

function required(field: string, message: string): Cause {
  return { reason: 'FieldValueRequired', field, message: `Required value${message ? `: ${message}` : ''}` }
}

function invalidValue(field: string, value: string, message: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${message}` }
}
