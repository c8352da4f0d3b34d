import type { KubeObject } from '../kube/objects.ts'
import { checkValue, duplicateCauses, type Cause } from './check-value.ts'
import type { Kind } from './define-kind.ts'
import { schemaOf } from './manifest.ts'
import { applyDefaults, pruneUnknown } from './prune.ts'
import { ruleCauses } from './rules.ts'
import type { StructuralSchema } from './structural-schema.ts'

export interface Admission {
  object: KubeObject
  /** What it was, on an update. */
  old?: KubeObject
  /** The server has put the status into the old object already: of the rest nothing can have changed. */
  subresource?: 'status'
  /** What unknown fields get: Strict refuses them, Warn prunes with a warning, Ignore prunes. */
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
  /** What the server found wrong with the metadata already: told with the rest, and it too may keep rules from being checked. */
  found?: readonly Cause[]
}

export type Admitted = { object: KubeObject; warnings: string[] } | { refused: Refused }

export interface Refused {
  causes: Cause[]
  /** Set when the object could not even be read, which is a 400 with this message; otherwise it is a 422 with the causes. */
  unreadable?: string
}

type WithStatus = KubeObject & { status?: unknown }

/** Causes that keep the API server from looking at rules. */
const BLOCKING = new Set<Cause['reason']>([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])
const RULES_NOT_CHECKED: Cause = {
  reason: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
}

/**
 * What an API server does with an object of one of Carrel's kinds before it stores it: unknown fields are refused or
 * pruned, defaults filled in, and all checked by the CRD's own schema and the twins of its CEL rules. Beyond names that
 * the kind restricts, metadata is the server's matter. The messages are those of the real server.
 */
export function admit(kind: Kind, { object, old, subresource, fieldValidation, found = [] }: Admission): Admitted {
  const schema = schemaOf(kind)
  const { value, unknown } = pruneUnknown(schema, object)
  const complaints = unknown.map((field) => `unknown field "${field}"`)
  if (unknown.length > 0 && fieldValidation === 'Strict') return { refused: strictly(kind, unknown, complaints) }

  const filled = applyDefaults(schema, value) as KubeObject
  const before = old && (applyDefaults(schema, old) as KubeObject)
  const causes = [...found, ...(subresource === 'status' ? statusCauses(schema, filled, before) : checkValue(schema, filled, '', before))]
  if (!before || duplicateCauses(schema, before, '').length === 0) causes.push(...duplicateCauses(schema, filled, ''))
  if (causes.some(({ reason }) => BLOCKING.has(reason))) causes.push(RULES_NOT_CHECKED)
  else causes.push(...ruleCauses(kind.rules, filled, before))

  if (causes.length > 0) return { refused: { causes } }
  return { object: filled, warnings: fieldValidation === 'Warn' ? complaints : [] }
}

function strictly({ kind, version }: Kind, unknown: string[], complaints: string[]): Refused {
  const causes = unknown.map((field, index): Cause => ({ reason: 'FieldValueInvalid', field, message: complaints[index]! }))
  return {
    causes,
    unreadable: `${kind} in version "${version}" cannot be handled as a ${kind}: strict decoding error: ${complaints.join(', ')}`,
  }
}

/** The real server's messages name these fields from the status on, its causes in full. */
function statusCauses(schema: StructuralSchema, object: WithStatus, old: WithStatus | undefined): Cause[] {
  if (object.status === undefined) return []
  const causes = checkValue(schema.properties!['status']!, object.status, '', old?.status)
  return causes.map((cause) => ({ ...cause, field: cause.field === '<nil>' || cause.field === '' ? 'status' : `status.${cause.field}` }))
}
