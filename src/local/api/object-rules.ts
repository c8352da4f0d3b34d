import { admit } from '../../crds/admit.ts'
import type { KubeObject } from '../../kube/objects.ts'
import { builtInCauses } from './built-in-rules.ts'
import { defaulted } from './defaults.ts'
import { fixedMetadataCauses, metadataCauses } from './metadata-rules.ts'
import type { ServedKind } from './served-kinds.ts'
import { invalid, invalidValue, type Cause } from './statuses.ts'
import { typedForm } from './typed-form.ts'

export interface RuleInput {
  kind: ServedKind
  object: KubeObject
  /** Absent on create. */
  old?: KubeObject
  /** On an update: what the caller sent, before the server's own metadata went into it. */
  sent?: KubeObject
  subresource?: 'status'
}

/** What the server does to an object before it is stored: defaults and validation. Throws 422. */
export function applyRules(input: RuleInput): KubeObject {
  const { kind, object, old, sent, subresource } = input
  const given = sent ?? object
  if (given.kind !== kind.kind && !subresource) {
    throw invalid(kind, object.metadata.name, [invalidValue('kind', given.kind, `must be ${kind.kind}`)])
  }
  const changed = old && sent ? fixedCauses(kind, subresource, sent, old) : []
  const aboutMetadata = [...changed, ...metadataCauses(kind.kind, object, old, namesFinalizersStrictly(kind))]
  if (kind.definition) return admitted(input, aboutMetadata)
  const filled = defaulted(kind, typedForm(kind, object).object, old)
  const aboutContent = subresource ? [] : builtInCauses(kind, filled, old)
  const asksMetadataLast = kind.kind === 'Event' && kind.group === '' && !old
  const causes = asksMetadataLast && aboutContent.length > 0 ? aboutContent : [...aboutMetadata, ...aboutContent]
  // An event is refused under the one name that both its faces have.
  const named = kind.kind === 'Event' ? { ...kind, group: '' } : kind
  if (causes.length > 0) throw invalid(named, object.metadata.name, causes)
  return filled
}

/** A status write of a custom resource looks at no metadata, that of a pod at no date of deletion. */
function fixedCauses(kind: ServedKind, subresource: string | undefined, sent: KubeObject, old: KubeObject): Cause[] {
  if (kind.definition && subresource) return []
  const { deletionTimestamp: _date, ...metadata } = sent.metadata
  return fixedMetadataCauses(kind.kind === 'Pod' && subresource ? { ...sent, metadata } : sent, old)
}

/** Of these built-in kinds the real server's own validation is older than its rule for finalizers without a domain. */
const LENIENT = new Set(['coordination.k8s.io/Lease', '/Event'])

function namesFinalizersStrictly({ group, kind, definition }: ServedKind): boolean {
  return definition === undefined && !LENIENT.has(`${group}/${kind}`)
}

function admitted({ kind, object, old, subresource }: RuleInput, found: readonly Cause[]): KubeObject {
  const outcome = admit(kind.definition!, {
    object,
    fieldValidation: 'Ignore',
    found,
    ...(old ? { old } : {}),
    ...(subresource ? { subresource } : {}),
  })
  if ('refused' in outcome) throw invalid(kind, object.metadata.name, outcome.refused.causes)
  return outcome.object
}
