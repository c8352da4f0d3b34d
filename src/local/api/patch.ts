import { jsonPatch } from './patch-json.ts'
import { isObject, mergePatch } from './patch-merge.ts'
import { strategicPatch } from './patch-strategic.ts'
import { Refusal, badRequest } from './statuses.ts'

const TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

/** The object with the patch applied, by the patch's content type, which `checkPatchType` let pass. */
export function patched(object: unknown, contentType: string | undefined, patch: unknown): unknown {
  const type = typeIn(contentType)
  if (type === TYPES.json) return jsonPatch(object, patch)
  if (!isObject(patch))
    throw badRequest(`error decoding patch: it is no object but ${Array.isArray(patch) ? 'a list' : `a ${typeof patch}`}`)
  return type === TYPES.strategic ? strategicPatch(object, patch) : mergePatch(object, patch)
}

/** Throws 415 for a type that the kind does not take; the server asks this before it looks for the object. */
export function checkPatchType(contentType: string | undefined, isBuiltIn: boolean): void {
  const type = typeIn(contentType)
  if (type === TYPES.merge || type === TYPES.json || (type === TYPES.strategic && isBuiltIn)) return
  const supported = [TYPES.json, TYPES.merge, ...(isBuiltIn ? [TYPES.strategic] : [])].join(', ')
  const hint = type === TYPES.apply ? ' (server-side apply is not served here: use kubectl apply without --server-side)' : ''
  throw new Refusal(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported}${hint}`,
  )
}

function typeIn(contentType: string | undefined): string | undefined {
  return contentType?.split(';')[0]?.trim()
}
