import { jsonPatch } from './patch-json.ts'
import { mergePatch } from './patch-merge.ts'
import { strategicPatch } from './patch-strategic.ts'
import { Refusal } from './statuses.ts'

const TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

/** The object with the patch applied, by the patch's content type. Throws 415 for a type that the kind does not take. */
export function patched(object: unknown, contentType: string | undefined, patch: unknown, isBuiltIn: boolean): unknown {
  const type = contentType?.split(';')[0]?.trim()
  if (type === TYPES.merge) return mergePatch(object, patch)
  if (type === TYPES.json) return jsonPatch(object, patch)
  if (type === TYPES.strategic && isBuiltIn) return strategicPatch(object, patch)
  const supported = [TYPES.json, TYPES.merge, ...(isBuiltIn ? [TYPES.strategic] : [])].join(', ')
  const hint = type === TYPES.apply ? ' (server-side apply is not served here: use kubectl apply without --server-side)' : ''
  throw new Refusal(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported}${hint}`,
  )
}
