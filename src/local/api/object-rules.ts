import { admit } from '../../crds/admit.ts'
import type { KubeObject } from '../../kube/objects.ts'
import { builtInCauses } from './built-in-rules.ts'
import { defaulted } from './defaults.ts'
import { metadataCauses } from './metadata-rules.ts'
import type { ServedKind } from './served-kinds.ts'
import { badRequest, invalid } from './statuses.ts'

export interface RuleInput {
  kind: ServedKind
  object: KubeObject
  /** Absent on create. */
  old?: KubeObject
  subresource?: 'status'
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
  /** A patched object is refused for its content (422) where a sent one is refused as unreadable (400). */
  isPatched?: boolean
}

export interface Ruled {
  object: KubeObject
  warnings: string[]
}

/** What the server does to an object before it is stored: defaults and validation. Throws 422 or 400. */
export function applyRules(input: RuleInput): Ruled {
  const { kind, object, old, subresource } = input
  const aboutMetadata = metadataCauses(kind.kind, object, old)
  if (kind.definition) {
    if (aboutMetadata.length > 0) throw invalid(kind, object.metadata.name, aboutMetadata)
    return admitted(input)
  }
  const filled = defaulted(kind, object, old)
  const causes = [...aboutMetadata, ...(subresource ? [] : builtInCauses(kind, filled, old))]
  if (causes.length > 0) throw invalid(kind, object.metadata.name, causes)
  return { object: filled, warnings: [] }
}

function admitted({ kind, object, old, subresource, fieldValidation, isPatched }: RuleInput): Ruled {
  const outcome = admit(kind.definition!, { object, fieldValidation, ...(old ? { old } : {}), ...(subresource ? { subresource } : {}) })
  if (!('refused' in outcome)) return outcome
  const { causes, unreadable } = outcome.refused
  throw unreadable !== undefined && !isPatched ? badRequest(unreadable) : invalid(kind, object.metadata.name, causes)
}
