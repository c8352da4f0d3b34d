import { isDeepStrictEqual } from 'node:util'
import type { ControllerRevision, KubeObject, Pod, Secret } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, forbiddenField, invalidValue, required, type Cause } from './statuses.ts'

/** What is wrong with a built-in object, beside its metadata: as much as Carrel could get wrong. */
export function builtInCauses(kind: ServedKind, object: KubeObject, old: KubeObject | undefined): Cause[] {
  switch (kind.kind) {
    case 'Pod':
      return old ? podUpdateCauses(object as Pod, old as Pod) : podCauses(object as Pod)
    case 'Secret':
      return secretCauses(object as Secret, old as Secret | undefined)
    case 'ConfigMap':
      return [...keyCauses(object), ...frozenCauses(object, old)]
    case 'ControllerRevision':
      return revisionCauses(object as ControllerRevision, old as ControllerRevision | undefined)
    case 'Event':
      return eventCauses(object as StoredEvent, old as StoredEvent | undefined)
    default:
      return []
  }
}

const POD_IS_FIXED =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

function podUpdateCauses(pod: Pod, old: Pod): Cause[] {
  if (!pod.spec?.containers?.length) return [required('spec.containers')]
  return isDeepStrictEqual(fixedPart(pod), fixedPart(old)) ? [] : [forbiddenField('spec', POD_IS_FIXED)]
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
    const isRepeated = containers.findIndex((other) => other.name === name) < index
    return [
      ...(name ? [] : [required(`${at}.name`)]),
      ...(name && isRepeated
        ? [{ reason: 'FieldValueDuplicate', field: `${at}.name`, message: `Duplicate value: ${JSON.stringify(name)}` }]
        : []),
      ...(image ? [] : [required(`${at}.image`)]),
    ]
  })
}

function secretCauses(secret: Secret, old: Secret | undefined): Cause[] {
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    const isBase64 = Buffer.from(value, 'base64').toString('base64') === value
    if (!isBase64) throw badRequest(`Secret in version "v1" cannot be handled as a Secret: illegal base64 data in data.${key}`)
  }
  const retyped = old !== undefined && secret.type !== old.type
  return [...keyCauses(secret), ...frozenCauses(secret, old), ...(retyped ? [invalidValue('type', secret.type, 'field is immutable')] : [])]
}

type WithData = KubeObject & { data?: object; immutable?: boolean }

function keyCauses({ data }: WithData): Cause[] {
  const wrong = Object.keys(data ?? {}).filter((key) => key.length > 253 || !/^[-._a-zA-Z0-9]+$/.test(key))
  const message =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
  return wrong.map((key) => invalidValue(`data[${key}]`, key, message))
}

function frozenCauses(object: WithData, old: WithData | undefined): Cause[] {
  if (!old?.immutable) return []
  const frozen = 'field is immutable when `immutable` is set'
  return [
    ...(object.immutable ? [] : [forbiddenField('immutable', frozen)]),
    ...(isDeepStrictEqual(object.data, old.data) ? [] : [forbiddenField('data', frozen)]),
  ]
}

function revisionCauses(revision: ControllerRevision, old: ControllerRevision | undefined): Cause[] {
  return [
    ...(revision.data === undefined ? [required('data', 'data is mandatory')] : []),
    ...(old && !isDeepStrictEqual(revision.data, old.data) ? [invalidValue('data', revision.data, 'field is immutable')] : []),
    ...(revision.revision < 0 ? [invalidValue('revision', revision.revision, 'must be greater than or equal to 0')] : []),
  ]
}

/** In the stored form, core/v1. */
type StoredEvent = KubeObject & { involvedObject?: { namespace?: string }; series?: unknown } & Partial<Record<EventText, string>>
type EventText = 'eventTime' | 'reportingComponent' | 'reportingInstance' | 'action' | 'reason' | 'message' | 'type'

const LONGEST_EVENT_TEXT = { reportingInstance: 128, action: 128, reason: 128, message: 1024 }
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/

/** An event without eventTime is an old one, of which little is asked; of a new one only its series may change. */
function eventCauses(event: StoredEvent, old: StoredEvent | undefined): Cause[] {
  const about = event.involvedObject?.namespace
  const isElsewhere = about === undefined ? event.metadata.namespace !== 'default' : about !== event.metadata.namespace
  const misplaced = isElsewhere ? [invalidValue('involvedObject.namespace', about ?? '', 'does not match event.namespace')] : []
  if (event.eventTime === undefined) return misplaced
  const missing = (['reportingComponent', 'reportingInstance', 'action', 'reason'] as const).filter((field) => !event[field])
  const tooLong = Object.entries(LONGEST_EVENT_TEXT).filter(
    ([field, longest]) => Buffer.byteLength(event[field as EventText] ?? '') > longest,
  )
  return [
    ...misplaced,
    ...(MICRO_TIME.test(event.eventTime) ? [] : [invalidValue('eventTime', event.eventTime, 'must be a time with six digits of a second')]),
    ...missing.map((field) => required(field === 'reportingComponent' ? 'reportingController' : field)),
    ...tooLong.map(([field, longest]) => invalidValue(field, '', `can have at most ${longest} characters`)),
    ...(event.type === 'Normal' || event.type === 'Warning' ? [] : [invalidValue('type', event.type ?? '', 'has invalid value: ')]),
    ...(old ? changedCauses(event, old) : []),
  ]
}

function changedCauses(event: StoredEvent, old: StoredEvent): Cause[] {
  const fixed = ({ metadata: _metadata, series: _series, ...rest }: StoredEvent): Record<string, unknown> => rest
  const [now, before] = [fixed(event), fixed(old)]
  const changed = Object.keys({ ...now, ...before }).filter((field) => !isDeepStrictEqual(now[field], before[field]))
  return changed.map((field) => invalidValue(field, now[field], 'field is immutable'))
}
