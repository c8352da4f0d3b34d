import type { Identity } from '../call.ts'
import { allowedTo, type Authorizer } from '../rbac/authorizer.ts'
import type { Access, Person } from '../rbac/policy.ts'
import { invalid, invalidValue, type Cause } from '../statuses.ts'

/** The spec of SubjectAccessReview and of its two sisters. */
export interface AccessSpec {
  user?: string
  groups?: string[]
  resourceAttributes?: {
    verb?: string
    group?: string
    resource?: string
    subresource?: string
    namespace?: string
    name?: string
  }
  nonResourceAttributes?: { verb?: string; path?: string }
}

/** Absent fields are empty ones, as in Go. */
export function personOf({ user = '', groups = [] }: AccessSpec): Person {
  return { user, groups }
}

/** What is asked. Throws 422 for what is no question, in the real server's words. */
export function accessOf(kind: string, spec: AccessSpec, metadata: object, namespace: string): Access {
  const causes = [
    ...specCauses(spec),
    ...(kind === 'SelfSubjectAccessReview' ? [] : subjectCauses(spec)),
    ...(kind === 'LocalSubjectAccessReview' ? placeCauses(spec, namespace) : metadataCauses(metadata)),
  ]
  if (causes.length > 0) throw invalid({ group: 'authorization.k8s.io', plural: '', kind: '' }, '', causes)
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec
  if (asked === undefined) return { verb: path?.verb ?? '', path: path?.path ?? '' }
  const { verb = '', group = '', resource = '', subresource = '', namespace: place = '', name = '' } = asked
  return { verb, group, resource, subresource, namespace: place, name }
}

function specCauses({ resourceAttributes, nonResourceAttributes }: AccessSpec): Cause[] {
  if ((resourceAttributes === undefined) !== (nonResourceAttributes === undefined)) return []
  const shown = nonResourceAttributes ? inGo(nonResourceAttributes) : null
  return [invalidValue('spec', shown, 'exactly one of nonResourceAttributes or resourceAttributes must be specified')]
}

function subjectCauses({ user, groups }: AccessSpec): Cause[] {
  if (user || groups?.length) return []
  return [invalidValue('spec.user', user ?? '', 'at least one of user or group must be specified')]
}

function metadataCauses(metadata: object): Cause[] {
  const { namespace: _place, ...others } = metadata as { namespace?: string }
  return Object.keys(others).length === 0 ? [] : [invalidValue('metadata', metadata, 'must be empty')]
}

function placeCauses({ resourceAttributes, nonResourceAttributes }: AccessSpec, namespace: string): Cause[] {
  const asked = resourceAttributes?.namespace ?? ''
  return [
    ...(resourceAttributes && asked !== namespace
      ? [invalidValue('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace')]
      : []),
    ...(nonResourceAttributes
      ? [invalidValue('spec.nonResourceAttributes', inGo(nonResourceAttributes), 'disallowed on this kind of request')]
      : []),
  ]
}

/** With the names of Go's fields. */
function inGo({ path = '', verb = '' }: NonNullable<AccessSpec['nonResourceAttributes']>): object {
  return { Path: path, Verb: verb }
}

/** An identity of this very call also has what is fixed for it. */
export function statusOf(authorizer: Authorizer, person: Person | Identity, access: Access): object {
  if ('allows' in person && allowedTo(person, access)) return { allowed: true }
  const { allowed, reason } = authorizer.decide(person, access)
  return { allowed, ...(reason ? { reason } : {}) }
}
