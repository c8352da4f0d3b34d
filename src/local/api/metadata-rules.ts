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

/** What is wrong with an object's metadata, on any write. */
export function metadataCauses(kind: string, { metadata }: KubeObject, old: KubeObject | undefined): Cause[] {
  const { labels = {}, annotations = {}, finalizers, ownerReferences } = metadata
  return [
    ...(old ? [] : nameCauses(kind, metadata)),
    ...Object.entries(labels ?? {}).flatMap(([key, value]) => labelCauses(key, value)),
    ...annotationCauses(annotations ?? {}),
    ...(ownerReferences ?? []).flatMap(ownerCauses),
    ...controllerCauses(metadata),
    ...(finalizers ?? []).flatMap((finalizer) => keyCauses('metadata.finalizers', finalizer)),
    ...lateFinalizerCauses(metadata, old?.metadata),
  ]
}

/** A namespace's name is a DNS label, other names are subdomains. */
function nameCauses(kind: string, { name }: ObjectMeta): Cause[] {
  if (!name) return [required('metadata.name', 'name or generateName is required')]
  const isLabel = kind === 'Namespace'
  const longest = isLabel ? LONGEST_LABEL : LONGEST_NAME
  return [
    ...(name.length > longest ? [invalidValue('metadata.name', name, `must be no more than ${longest} bytes`)] : []),
    ...((isLabel ? LABEL : SUBDOMAIN).test(name) ? [] : [invalidValue('metadata.name', name, isLabel ? LABEL_MESSAGE : SUBDOMAIN_MESSAGE)]),
  ]
}

function labelCauses(key: string, value: string): Cause[] {
  return [
    ...keyCauses('metadata.labels', key),
    ...(value.length > LONGEST_LABEL ? [invalidValue('metadata.labels', value, `must be no more than ${LONGEST_LABEL} bytes`)] : []),
    ...(VALUE.test(value) ? [] : [invalidValue('metadata.labels', value, VALUE_MESSAGE)]),
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
  const keys = Object.keys(annotations).flatMap((key) => keyCauses(field, key.toLowerCase(), key))
  return sizeBytes > LARGEST_ANNOTATIONS_BYTES ? [...keys, tooLarge] : keys
}

/** A qualified name: an optional DNS prefix, a slash, and a name. */
function keyCauses(field: string, key: string, shown = key): Cause[] {
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
  const fields = ['apiVersion', 'kind', 'name', 'uid'] as const
  return fields
    .filter((field) => !reference[field])
    .map((field) => required(`metadata.ownerReferences[${index}].${field}`, 'must not be empty'))
}

function controllerCauses({ ownerReferences }: ObjectMeta): Cause[] {
  const [first, second] = (ownerReferences ?? []).filter(({ controller }) => controller === true)
  if (first === undefined || second === undefined) return []
  const both = `${first.kind}/${first.name} and ${second.kind}/${second.name}`
  const message = `Invalid value: Only one reference can have Controller set to true. Found "true" in references for ${both}`
  return [{ reason: 'FieldValueInvalid', field: 'metadata.ownerReferences', message }]
}

function lateFinalizerCauses({ finalizers }: ObjectMeta, old: ObjectMeta | undefined): Cause[] {
  if (old?.deletionTimestamp === undefined) return []
  const late = (finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer))
  if (late.length === 0) return []
  const found = late.map((finalizer) => JSON.stringify(finalizer)).join(', ')
  const message = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${found}}`
  return [forbiddenField('metadata.finalizers', message)]
}
