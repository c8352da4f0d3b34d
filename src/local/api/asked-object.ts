import type { KubeObject } from '../../kube/objects.ts'
import type { Slot } from './object-store.ts'
import { checkPatchType, patched } from './patch.ts'
import { isObject } from './patch-merge.ts'
import type { Request } from './read.ts'
import { checkDepth, checkPlace, objectOf } from './sent-object.ts'
import { Refusal, invalid, invalidValue } from './statuses.ts'

export type UpdateRequest = Request & { name: string; subresource?: 'status' }

/** What a PUT sent, or undefined for a PATCH, which says nothing without its object. Throws for what makes no sense with any. */
export function sentIn({ kind, call }: UpdateRequest, slot: Slot): KubeObject | undefined {
  checkDepth(call.body)
  if (call.method === 'PATCH') {
    checkPatchType(call.contentType, kind.definition === undefined)
    return undefined
  }
  const sent = objectOf(kind, call.body)
  checkPlace(sent, slot)
  return sent
}

/** The object as the patch would have it; what cannot be read then is the patch's fault. */
export function patchedFrom({ kind, call, subresource }: UpdateRequest, old: KubeObject, slot: Slot): KubeObject {
  const served = kind.toServed(old)
  const result = patched(served, call.contentType, call.body)
  const { apiVersion, kind: name } = served
  // Of a custom resource's status patch nothing else is looked at.
  const content = kind.definition && subresource && isObject(result) ? { ...result, apiVersion, kind: name } : result
  // Of the rest of it the version is a field, and wrong as others are.
  if (kind.definition && isObject(content) && content['apiVersion'] !== apiVersion)
    throw invalid(kind, slot.name, [invalidValue('apiVersion', content['apiVersion'] ?? '', `must be ${apiVersion}`)])
  const sent = readable(() => objectOf(kind, content), call.body)
  checkPlace(sent, slot)
  return sent
}

function readable(read: () => KubeObject, patch: unknown): KubeObject {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 400) throw error
    throw invalid({ group: '', plural: '', kind: '' }, '', [invalidValue('patch', patch, error.message)])
  }
}
