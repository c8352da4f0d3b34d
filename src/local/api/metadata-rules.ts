import type { KubeObject, ObjectMeta } from '../../kube/objects.ts'
import { forbiddenField, invalidValue, required, type Cause } from './statuses.ts'

const SUBDOMAIN_FORMAT = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'
const SUBDOMAIN = new RegExp(`^${SUBDOMAIN_FORMAT}$`)
const SUBDOMAIN_MESSAGE = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN_FORMAT}')`
const LABEL_FORMAT = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const LABEL = new RegExp(`^${LABEL_FORMAT}$`)
const LABEL_MESSAGE = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL_FORMAT}')`
const KEY_FORMAT = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const KEY_MESSAGE = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${KEY_FORMAT}')`
const KEY = new RegExp(`^${KEY_FORMAT}$`)
const VALUE = new RegExp(`^(${KEY_FORMAT})?$`)
const VALUE_MESSAGE = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${KEY_FORMAT})?')`
const LONGEST_LABEL = 63
const LONGEST_NAME = 253
const LARGEST_ANNOTATIONS_BYTES = 256 * 1024

/** What is wrong with an object's metadata, on any write. `isStrict`: a finalizer has a domain, or is a standard one. */
export function metadataCauses(kind: string, { metadata }: KubeObject, old: KubeObject | undefined, isStrict: boolean): Cause[] {
  const { labels = {}, annotations = {}, finalizers, ownerReferences } = metadata
  return [
    ...(old ? [] : nameCauses(kind, metadata)),
    ...Object.entries(labels ?? {}).flatMap(([key, value]) => labelCauses(key, value)),
    ...annotationCauses(annotations ?? {}),
    ...(ownerReferences ?? []).flatMap(ownerCauses),
    ...controllerCauses(metadata),
    ...(finalizers ?? []).flatMap((finalizer, index) => finalizerCauses(finalizer, index, isStrict)),
    ...lateFinalizerCauses(metadata, old?.metadata),
  ]
}

/** What a caller may not change once it is there. A date of deletion that is there already is kept, whatever was sent. */
export function fixedMetadataCauses({ metadata }: KubeObject, { metadata: old }: KubeObject): Cause[] {
  const { uid, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } = metadata
  const fixed = (field: string, value: unknown): Cause => invalidValue(`metadata.${field}`, value, 'field is immutable')
  return [
    ...(uid && uid !== old.uid ? [fixed('uid', uid)] : []),
    ...(deletionTimestamp && !old.deletionTimestamp ? [fixed('deletionTimestamp', deletionTimestamp)] : []),
    ...(graceSeconds !== undefined && graceSeconds !== old.deletionGracePeriodSeconds
      ? [fixed('deletionGracePeriodSeconds', graceSeconds)]
      : []),
  ]
}

const NAMED_AS_SEGMENTS = new Set(['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'])

/** A role's or a binding's name only has to be one segment of a path: `system:node` is one. */
export function pathSegmentCauses(field: string, name: string): Cause[] {
  const wrong = (message: string): Cause => invalidValue(field, name, message)
  if (name === '.' || name === '..') return [wrong(`may not be '${name}'`)]
  return ['/', '%'].filter((each) => name.includes(each)).map((each) => wrong(`may not contain '${each}'`))
}

/** What is wrong with a name in another field. */
export function subdomainCauses(field: string, name: string): Cause[] {
  return formCauses(field, false, name)
}

/** A namespace's name is a DNS label, those of roles are segments of a path, other names are subdomains. */
function nameCauses(kind: string, { name, generateName }: ObjectMeta): Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')]
  if (NAMED_AS_SEGMENTS.has(kind)) return pathSegmentCauses('metadata.name', name)
  const isLabel = kind === 'Namespace'
  return [
    ...(generateName ? formCauses('metadata.generateName', isLabel, generateName, generateName.replace(/(?<=.)-$/, 'a')) : []),
    ...formCauses('metadata.name', isLabel, name),
    ...(isLabel ? labelValueCauses('metadata.labels', name) : []), // the server makes it one
  ]
}

/** `checked`: of a prefix, which may end in a dash, what could become of it. */
function formCauses(field: string, isLabel: boolean, name: string, checked = name): Cause[] {
  const longest = isLabel ? LONGEST_LABEL : LONGEST_NAME
  const wrong = (message: string): Cause => invalidValue(field, name, message)
  const tooLong = checked.length > longest ? [wrong(`must be no more than ${longest} characters`)] : []
  if (isLabel && checked.includes('.')) return [...tooLong, wrong('must not contain dots')]
  if ((isLabel ? LABEL : SUBDOMAIN).test(checked)) return tooLong
  return [...tooLong, wrong(isLabel ? LABEL_MESSAGE : SUBDOMAIN_MESSAGE)]
}

function labelCauses(key: string, value: string): Cause[] {
  return [...labelKeyCauses('metadata.labels', key), ...labelValueCauses('metadata.labels', value)]
}

export function labelValueCauses(field: string, value: string): Cause[] {
  return [
    ...(value.length > LONGEST_LABEL ? [invalidValue(field, value, `must be no more than ${LONGEST_LABEL} bytes`)] : []),
    ...(VALUE.test(value) ? [] : [invalidValue(field, value, VALUE_MESSAGE)]),
  ]
}

function annotationCauses(annotations: Record<string, string>): Cause[] {
  const sizeBytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0)
  const field = 'metadata.annotations'
  const tooLarge: Cause = {
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${LARGEST_ANNOTATIONS_BYTES} bytes`,
  }
  const keys = Object.keys(annotations).flatMap((key) => labelKeyCauses(field, key.toLowerCase(), key))
  return sizeBytes > LARGEST_ANNOTATIONS_BYTES ? [...keys, tooLarge] : keys
}

const STANDARD_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion'])

function finalizerCauses(finalizer: string, index: number, isStrict: boolean): Cause[] {
  const causes = labelKeyCauses('metadata.finalizers', finalizer)
  if (!isStrict || finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer)) return causes
  const message = 'name is neither a standard finalizer name nor is it fully qualified'
  return [...causes, invalidValue(`metadata.finalizers[${index}]`, finalizer, message)]
}

/** A qualified name: an optional DNS prefix, a slash, and a name. */
export function labelKeyCauses(field: string, key: string, shown = key): Cause[] {
  const parts = key.split('/')
  const name = parts.at(-1)!
  const wrong = (message: string): Cause => invalidValue(field, shown, message)
  if (parts.length > 2)
    return [wrong(`a valid label key ${KEY_MESSAGE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`)]
  const causes: Cause[] = []
  if (parts.length === 2 && parts[0] === '') causes.push(wrong('prefix part must be non-empty'))
  else if (parts.length === 2 && !(SUBDOMAIN.test(parts[0]!) && parts[0]!.length <= LONGEST_NAME))
    causes.push(wrong(`prefix part ${SUBDOMAIN_MESSAGE}`))
  if (name === '') causes.push(wrong('name part must be non-empty'))
  else if (name.length > LONGEST_LABEL) causes.push(wrong(`name part must be no more than ${LONGEST_LABEL} bytes`))
  if (!KEY.test(name)) causes.push(wrong(`name part ${KEY_MESSAGE}`))
  return causes
}

function ownerCauses(reference: { apiVersion?: string; kind?: string; name?: string; uid?: string }, index: number): Cause[] {
  const at = (field: string): string => `metadata.ownerReferences[${index}].${field}`
  const { apiVersion = '', kind } = reference
  const isUnreadable = apiVersion.split('/').length > 2
  const empty = ['apiVersion', 'kind', 'name', 'uid'].filter((field) => !reference[field as keyof typeof reference])
  return [
    ...(isUnreadable ? [invalidValue(at('apiVersion'), apiVersion, 'must be <group>/<version> or <version>')] : []),
    ...empty.map((field) => required(at(field), 'must not be empty')),
    ...(kind === 'Event' && apiVersion === 'v1'
      ? [invalidValue(`metadata.ownerReferences[${index}]`, reference, '/v1, Kind=Event is disallowed from being an owner')]
      : []),
  ]
}

function controllerCauses({ ownerReferences }: ObjectMeta): Cause[] {
  const [first, second] = (ownerReferences ?? []).filter(({ controller }) => controller === true)
  if (first === undefined || second === undefined) return []
  const both = `${first.kind}/${first.name} and ${second.kind}/${second.name}`
  const message = `Only one reference can have Controller set to true. Found "true" in references for ${both}`
  return [invalidValue('metadata.ownerReferences', ownerReferences, message)]
}

function lateFinalizerCauses({ finalizers }: ObjectMeta, old: ObjectMeta | undefined): Cause[] {
  if (old?.deletionTimestamp === undefined) return []
  const late = (finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer))
  if (late.length === 0) return []
  const found = late.map((finalizer) => JSON.stringify(finalizer)).join(', ')
  const message = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${found}}`
  return [forbiddenField('metadata.finalizers', message)]
}
