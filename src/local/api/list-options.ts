import {
  badRequest,
  expired,
  forbiddenField as forbidden,
  tooLargeVersion,
  unreadableVersion,
  unsupported,
  type Cause,
} from './statuses.ts'
import { integerIn, invalidOptions } from './write-options.ts'

const MATCHES = new Set(['', 'Exact', 'NotOlderThan'])

/** Throws 422 for options of a list or a watch that contradict one another, in the real server's words. */
export function checkListOptions(query: URLSearchParams, isWatch: boolean): void {
  for (const name of ['limit', 'timeoutSeconds']) integerIn(query, name)
  const causes = isWatch ? watchCauses(query) : listCauses(query)
  if (causes.length > 0) throw invalidOptions('ListOptions', causes)
}

function listCauses(query: URLSearchParams): Cause[] {
  const version = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const forbiddenMatch = (why: string): Cause => forbidden('resourceVersionMatch', `resourceVersionMatch ${why}`)
  return [
    ...(query.get('sendInitialEvents') === null ? [] : [forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list')]),
    ...(match && version === '' ? [forbiddenMatch('is forbidden unless resourceVersion is provided')] : []),
    ...(match && query.get('continue') ? [forbiddenMatch('is forbidden when continue is provided')] : []),
    ...(MATCHES.has(match) ? [] : [unsupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', ''])]),
    ...(match === 'Exact' && version === '0' ? [forbiddenMatch('"exact" is forbidden for resourceVersion "0"')] : []),
  ]
}

function watchCauses(query: URLSearchParams): Cause[] {
  const match = query.get('resourceVersionMatch') ?? ''
  if (query.get('sendInitialEvents') === null) {
    return match
      ? [forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')]
      : []
  }
  if (match === 'NotOlderThan') return []
  const required = forbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  return [required, ...(match === '' ? [] : [unsupported('resourceVersionMatch', match, ['NotOlderThan'])])]
}

/** Of a GET of one object: there is only what is now, which serves all that ask for something not newer. */
export function checkReadVersion(query: URLSearchParams, now: number): void {
  const asked = query.get('resourceVersion') ?? ''
  if (asked === '' || asked === '0') return
  if (!/^\d+$/.test(asked)) throw unreadableVersion(asked, true)
  if (Number(asked) > now) throw tooLargeVersion(asked, now)
}

/** The same of a list. A page's token says which version it is of. */
export function checkListVersion(query: URLSearchParams, now: number): void {
  const asked = query.get('resourceVersion') ?? ''
  if (asked === '' || asked === '0') return
  if (query.get('continue')) throw badRequest('specifying resource version is not allowed when using continue')
  if (!/^\d+$/.test(asked)) throw badRequest(`invalid resource version: ${unreadableVersion(asked, true).message}`)
  if (Number(asked) > now) throw tooLargeVersion(asked, now)
  if (query.get('resourceVersionMatch') === 'Exact' && Number(asked) < now)
    throw expired('The resourceVersion for the provided list is too old.')
}
