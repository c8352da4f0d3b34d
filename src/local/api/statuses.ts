import type { Cause } from '../../crds/check-value.ts'
import type { Status } from '../../kube/objects.ts'
import type { ApiAnswer } from './call.ts'

/** A refusal on its way to the caller: thrown inside, answered as a metav1.Status. The wording is the real server's. */
export class Refusal extends Error {
  readonly code: number
  readonly reason: string
  readonly details: Status['details']
  readonly headers: Record<string, string>

  constructor(code: number, reason: string, message: string, details?: Status['details'], headers: Record<string, string> = {}) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
    this.headers = headers
  }

  answer(): ApiAnswer {
    return { status: this.code, headers: this.headers, body: failure(this.code, this.reason, this.message, this.details) }
  }
}

export function failure(code: number, reason: string, message: string, details?: Status['details']): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason ? { reason } : {}),
    ...detailed(details),
    code,
  }
}

/** What was deleted says no code, as the real server's answer does not. */
export function success(code: 200 | 201, details?: Status['details']): Omit<Status, 'code'> & { code?: number } {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', ...detailed(details), ...(code === 200 ? {} : { code }) }
}

/** What is empty, as the name of the core group, the real server leaves out. */
function detailed(details: Status['details']): Pick<Status, 'details'> {
  if (details === undefined) return {}
  const said = Object.entries(details).filter(([, value]) => value !== '')
  return { details: Object.fromEntries(said) as Status['details'] }
}

interface Named {
  group: string
  plural: string
}

const qualified = ({ group, plural }: Named): string => (group ? `${plural}.${group}` : plural)

export const notFound = (kind: Named, name: string): Refusal =>
  new Refusal(404, 'NotFound', `${qualified(kind)} "${name}" not found`, { name, group: kind.group, kind: kind.plural })

export const noSuchPath = (): Refusal => new Refusal(404, 'NotFound', 'the server could not find the requested resource', {})

export function alreadyExists(kind: Named, name: string, isEnding: boolean): Refusal {
  const message = `${isEnding ? 'object is being deleted: ' : ''}${qualified(kind)} "${name}" already exists`
  return new Refusal(409, 'AlreadyExists', message, { name, group: kind.group, kind: kind.plural })
}

export const conflict = (kind: Named, name: string, why: string): Refusal =>
  new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(kind)} "${name}": ${why}`, {
    name,
    group: kind.group,
    kind: kind.plural,
  })

export const modified = (kind: Named, name: string): Refusal =>
  conflict(kind, name, 'the object has been modified; please apply your changes to the latest version and try again')

/** To create something in a namespace that is being emptied. */
export function namespaceEnds(kind: Named, name: string, namespace: string): Refusal {
  const message = `unable to create new content in namespace ${namespace} because it is being terminated`
  const causes = [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }]
  return new Refusal(403, 'Forbidden', `${qualified(kind)} "${name}" is forbidden: ${message}`, {
    name,
    group: kind.group,
    kind: kind.plural,
    causes,
  })
}

export const badRequest = (message: string): Refusal => new Refusal(400, 'BadRequest', message)

/** The real server's words, and its 500: it reads the version where nobody expects a bad one. */
export function unreadableVersion(asked: string, isInQuery = false): Refusal {
  const quoted = JSON.stringify(asked)
  const where = isInQuery ? `resourceVersion: Invalid value: ${quoted}: ` : ''
  return new Refusal(500, '', `${where}strconv.ParseUint: parsing ${quoted}: invalid syntax`)
}

export const methodNotAllowed = (): Refusal =>
  new Refusal(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})

export const expired = (message = 'The resourceVersion for the provided watch is too old.'): Refusal => new Refusal(410, 'Expired', message)

export function tooLargeVersion(asked: string, now: number): Refusal {
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }]
  return new Refusal(
    504,
    'Timeout',
    `Timeout: Too large resource version: ${asked}, current: ${now}`,
    { causes, retryAfterSeconds: 1 },
    { 'retry-after': '1' },
  )
}

export type { Cause }

export function required(field: string, message = ''): Cause {
  return { reason: 'FieldValueRequired', field, message: `Required value${message ? `: ${message}` : ''}` }
}

export function invalidValue(field: string, value: unknown, message: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${message}` }
}

export function duplicate(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', field, message: `Duplicate value: ${JSON.stringify(value)}` }
}

export function unsupported(field: string, value: unknown, supported: readonly string[]): Cause {
  const values = supported.map((each) => JSON.stringify(each)).join(', ')
  return { reason: 'FieldValueNotSupported', field, message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}` }
}

export function forbiddenField(field: string, message: string): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${message}` }
}

export function invalid(kind: Named & { kind: string }, name: string, causes: Cause[]): Refusal {
  const list = causes.map(({ field, message }) => `${field}: ${message}`)
  const text = list.length === 1 ? list[0]! : `[${list.join(', ')}]`
  const subject = kind.group ? `${kind.kind}.${kind.group}` : kind.kind
  return new Refusal(422, 'Invalid', `${subject} "${name}" is invalid: ${text}`, { name, group: kind.group, kind: kind.kind, causes })
}

export function forbidden(
  user: string,
  verb: string,
  kind: Named & { subresource?: string },
  name: string | undefined,
  namespace: string | undefined,
  reason = '',
): Refusal {
  const resource = kind.subresource ? `${kind.plural}/${kind.subresource}` : kind.plural
  const subject = name ? `${qualified(kind)} "${name}" is forbidden` : `${qualified(kind)} is forbidden`
  const where = namespace ? ` in the namespace "${namespace}"` : ' at the cluster scope'
  const message = `${subject}: User "${user}" cannot ${verb} resource "${resource}" in API group "${kind.group}"${where}${reason && `: ${reason}`}`
  return new Refusal(403, 'Forbidden', message, { ...(name ? { name } : {}), group: kind.group, kind: kind.plural })
}
