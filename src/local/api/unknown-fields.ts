import { schemaOf } from '../../crds/manifest.ts'
import { pruneUnknown } from '../../crds/prune.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, invalid, invalidValue } from './statuses.ts'
import { typedForm } from './typed-form.ts'
import type { WriteOptions } from './write-options.ts'

const METADATA = new Set(
  [
    'name generateName namespace selfLink uid resourceVersion generation labels annotations finalizers ownerReferences managedFields',
    'creationTimestamp deletionTimestamp deletionGracePeriodSeconds',
  ].flatMap((names) => names.split(' ')),
)
const OWNER = new Set(['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'])

/**
 * Warnings of the fields that nobody knows, in what was sent whether it will be written or not; with fieldValidation=Strict
 * they are refused instead: as unreadable (400), or a patched object for its content (422). `object` is in its stored form.
 */
export function checkFields(kind: ServedKind, object: KubeObject, { fieldValidation }: WriteOptions, isPatched = false): string[] {
  if (fieldValidation === 'Ignore') return []
  const unknown = [...unknownMetadata(object), ...unknownContent(kind, object)].toSorted()
  const complaints = unknown.map((field) => `unknown field ${JSON.stringify(field)}`)
  if (complaints.length === 0 || fieldValidation === 'Warn') return complaints
  const why = `strict decoding error: ${complaints.join(', ')}`
  if (isPatched) throw invalid({ group: '', plural: '', kind: '' }, '', [invalidValue('patch', object, why)])
  throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`)
}

/** Of built-in kinds only their first level is known here. */
function unknownContent(kind: ServedKind, object: KubeObject): string[] {
  return kind.definition ? pruneUnknown(schemaOf(kind.definition), object).unknown : typedForm(kind, object).unknown
}

function unknownMetadata({ metadata }: KubeObject): string[] {
  const owners = (metadata.ownerReferences ?? []).flatMap((owner, index) =>
    Object.keys(owner)
      .filter((field) => !OWNER.has(field))
      .map((field) => `metadata.ownerReferences[${index}].${field}`),
  )
  const own = Object.keys(metadata).filter((field) => !METADATA.has(field))
  return [...own.map((field) => `metadata.${field}`), ...owners]
}
