import { badRequest, invalid, unsupported, type Cause } from './statuses.ts'

const VALIDATIONS = ['', 'Ignore', 'Strict', 'Warn']

/** What the query of a create, update or patch says beside the object. */
export interface WriteOptions {
  isDryRun: boolean
  fieldValidation: 'Strict' | 'Warn' | 'Ignore'
}

/** Throws 422 for what the real server does not know either, in its words. */
export function writeOptions(query: URLSearchParams, kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions'): WriteOptions {
  const dryRun = query.getAll('dryRun')
  const given = query.get('fieldValidation') ?? ''
  const causes = [...dryRunCauses(dryRun), ...(VALIDATIONS.includes(given) ? [] : [unsupported('fieldValidation', given, VALIDATIONS)])]
  if (causes.length > 0) throw invalidOptions(kind, causes)
  return { isDryRun: dryRun.length > 0, fieldValidation: given === 'Strict' || given === 'Ignore' ? given : 'Warn' }
}

export function dryRunCauses(dryRun: readonly string[]): Cause[] {
  return dryRun.every((stage) => stage === 'All') ? [] : [unsupported('dryRun', dryRun, ['All'])]
}

export function invalidOptions(kind: string, causes: Cause[]): Error {
  return invalid({ group: 'meta.k8s.io', plural: '', kind }, '', causes)
}

/** An integer in a query; undefined where it says nothing. Throws 400. */
export function integerIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^[-+]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}
