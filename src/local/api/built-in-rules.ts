import { isDeepStrictEqual } from 'node:util'
import type { ControllerRevision, KubeObject, Pod, Secret } from '../../kube/objects.ts'
import { eventCauses, type StoredEvent } from './event-rules.ts'
import { bindingCauses, roleCauses } from './rbac/causes.ts'
import type { Binding, Role } from './rbac/policy.ts'
import type { ServedKind } from './served-kinds.ts'
import { duplicate, forbiddenField, invalidValue, required, type Cause } from './statuses.ts'

/** What is wrong with a built-in object, beside its metadata: as much as Carrel could get wrong. */
export function builtInCauses(kind: ServedKind, object: KubeObject, old: KubeObject | undefined): Cause[] {
  switch (kind.kind) {
    case 'Pod':
      return old ? podUpdateCauses(object as Pod, old as Pod) : podCauses(object as Pod)
    case 'Secret':
      return secretCauses(object as Secret, old as Secret | undefined)
    case 'ConfigMap':
      return [...keyCauses(object), ...sizeCauses('[]', object), ...frozenCauses(object, old)]
    case 'ControllerRevision':
      return revisionCauses(object as ControllerRevision, old as ControllerRevision | undefined)
    case 'Event':
      return eventCauses(kind, object as StoredEvent, old as StoredEvent | undefined)
    case 'Lease':
      return leaseCauses(object as LeaseLike)
    case 'Role':
    case 'ClusterRole':
      return roleCauses(object as Role)
    case 'RoleBinding':
    case 'ClusterRoleBinding':
      return bindingCauses(object as Binding, old as Binding | undefined)
    default:
      return []
  }
}

const POD_IS_FIXED =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

function podUpdateCauses(pod: Pod, old: Pod): Cause[] {
  if (!pod.spec?.containers?.length) return [required('spec.containers')]
  if (pod.spec.containers.length !== old.spec!.containers.length)
    return [...podCauses(pod), forbiddenField('spec.containers', 'pod updates may not add or remove containers')]
  const changed = isDeepStrictEqual(fixedPart(pod), fixedPart(old)) ? [] : [forbiddenField('spec', POD_IS_FIXED)]
  return [...podCauses(pod), ...deadlineCauses(pod.spec.activeDeadlineSeconds, old.spec!.activeDeadlineSeconds), ...changed]
}

/** A deadline may come, and come nearer. */
function deadlineCauses(seconds: number | undefined, oldSeconds: number | undefined): Cause[] {
  if (oldSeconds === undefined) return []
  const field = 'spec.activeDeadlineSeconds'
  if (seconds === undefined) return [invalidValue(field, null, 'must not update from a positive integer to nil value')]
  return seconds > oldSeconds ? [invalidValue(field, seconds, 'must be less than or equal to previous value')] : []
}

function fixedPart(pod: Pod): unknown {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, containers, ...rest } = pod.spec!
  return { ...rest, containers: containers.map(({ image: _image, ...container }) => container) }
}

function podCauses(pod: Pod): Cause[] {
  const containers = pod.spec?.containers ?? []
  if (containers.length === 0) return [required('spec.containers')]
  return containers.flatMap(({ name, image }, index) => {
    const at = `spec.containers[${index}]`
    const isRepeated = Boolean(name) && containers.findIndex((other) => other.name === name) < index
    return [
      ...(name ? [] : [required(`${at}.name`)]),
      ...(isRepeated ? [duplicate(`${at}.name`, name)] : []),
      ...(image ? [] : [required(`${at}.image`)]),
    ]
  })
}

function secretCauses(secret: Secret, old: Secret | undefined): Cause[] {
  const retyped = old !== undefined && secret.type !== old.type
  return [
    ...keyCauses(secret),
    ...sizeCauses('data', secret),
    ...frozenCauses(secret, old),
    ...(retyped ? [invalidValue('type', secret.type, 'field is immutable')] : []),
  ]
}

type WithData = KubeObject & { data?: object; binaryData?: object; immutable?: boolean }

function keyCauses({ data = {}, binaryData = {} }: WithData): Cause[] {
  return [
    ...keyCausesIn('data', data),
    ...keyCausesIn('binaryData', binaryData),
    ...Object.keys(binaryData)
      .filter((key) => Object.hasOwn(data, key))
      .map((key) => invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData')),
  ]
}

const LARGEST_DATA_BYTES = 1024 * 1024

/** Of all values together; those of a secret and of binaryData are base64. */
function sizeCauses(field: string, { data = {}, binaryData = {}, kind }: WithData): Cause[] {
  const bytesOf = (values: object, encoding: BufferEncoding): number =>
    Object.values(values).reduce<number>((sum, value) => sum + Buffer.byteLength(String(value), encoding), 0)
  const sizeBytes = bytesOf(data, kind === 'Secret' ? 'base64' : 'utf8') + bytesOf(binaryData, 'base64')
  const message = `Too long: may not be more than ${LARGEST_DATA_BYTES} bytes`
  return sizeBytes > LARGEST_DATA_BYTES ? [{ reason: 'FieldValueTooLong', field, message }] : []
}

function keyCausesIn(field: string, data: object): Cause[] {
  const dotted = Object.keys(data).filter((key) => key === '.' || key.startsWith('..'))
  const wrong = Object.keys(data).filter((key) => key.length > 253 || !/^[-._a-zA-Z0-9]+$/.test(key))
  const message =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
  return [
    ...wrong.map((key) => invalidValue(`${field}[${key}]`, key, key.length > 253 ? 'must be no more than 253 characters' : message)),
    ...dotted.map((key) => invalidValue(`${field}[${key}]`, key, key.length > 2 ? "must not start with '..'" : `must not be '${key}'`)),
  ]
}

function frozenCauses(object: WithData, old: WithData | undefined): Cause[] {
  if (!old?.immutable) return []
  const frozen = 'field is immutable when `immutable` is set'
  return [
    ...(object.immutable ? [] : [forbiddenField('immutable', frozen)]),
    ...(['data', 'binaryData'] as const)
      .filter((field) => !isDeepStrictEqual(object[field], old[field]))
      .map((field) => forbiddenField(field, frozen)),
  ]
}

function revisionCauses(revision: ControllerRevision, old: ControllerRevision | undefined): Cause[] {
  return [
    ...(revision.data === undefined ? [required('data', 'data is mandatory')] : []),
    ...(old && !isDeepStrictEqual(revision.data, old.data) ? [invalidValue('data', revision.data, 'field is immutable')] : []),
    ...(revision.revision < 0 ? [invalidValue('revision', revision.revision, 'must be greater than or equal to 0')] : []),
  ]
}

function leaseCauses({ spec }: LeaseLike): Cause[] {
  const { leaseDurationSeconds: durationSeconds, leaseTransitions: transitions } = spec ?? {}
  return [
    ...(durationSeconds !== undefined && durationSeconds <= 0
      ? [invalidValue('spec.leaseDurationSeconds', durationSeconds, 'must be greater than 0')]
      : []),
    ...(transitions !== undefined && transitions < 0
      ? [invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0')]
      : []),
  ]
}

type LeaseLike = KubeObject & { spec?: { leaseDurationSeconds?: number; leaseTransitions?: number } }
