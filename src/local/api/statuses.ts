import type { Status } from '../../kube/objects.ts'
import type { ApiAnswer } from './api.ts'

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
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, ...(details ? { details } : {}), code }
}

export function success(details: Status['details']): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', ...(details ? { details } : {}), code: 200 }
}

interface Named {
  group: string
  plural: string
}

const qualified = ({ group, plural }: Named): string => (group ? `${plural}.${group}` : plural)

export const notFound = (kind: Named, name: string): Refusal =>
  new Refusal(404, 'NotFound', `${qualified(kind)} "${name}" not found`, { name, group: kind.group, kind: kind.plural })

export const noSuchPath = (): Refusal => new Refusal(404, 'NotFound', 'the server could not find the requested resource')

export const alreadyExists = (kind: Named, name: string): Refusal =>
  new Refusal(409, 'AlreadyExists', `${qualified(kind)} "${name}" already exists`, { name, group: kind.group, kind: kind.plural })

export const conflict = (kind: Named, name: string, why: string): Refusal =>
  new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(kind)} "${name}": ${why}`, { name, group: kind.group, kind: kind.plural })

export const modified = (kind: Named, name: string): Refusal =>
  conflict(kind, name, 'the object has been modified; please apply your changes to the latest version and try again')

export const badRequest = (message: string): Refusal => new Refusal(400, 'BadRequest', message)

export const methodNotAllowed = (): Refusal => new Refusal(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')

export const expired = (message = 'The resourceVersion for the provided watch is too old.'): Refusal => new Refusal(410, 'Expired', message)

export interface Cause {
  reason: string
  message: string
  field: string
}

export function invalid(kind: Named & { kind: string }, name: string, causes: Cause[]): Refusal {
  const list = causes.map(({ field, message }) => `${field}: ${message}`)
  const text = list.length === 1 ? list[0]! : `[${list.join(', ')}]`
  const subject = kind.group ? `${kind.kind}.${kind.group}` : kind.kind
  return new Refusal(422, 'Invalid', `${subject} "${name}" is invalid: ${text}`, { name, group: kind.group, kind: kind.kind, causes })
}

export function forbidden(user: string, verb: string, kind: Named & { subresource?: string }, name: string | undefined, namespace: string | undefined): Refusal {
  const resource = kind.subresource ? `${kind.plural}/${kind.subresource}` : kind.plural
  const subject = name ? `${qualified(kind)} "${name}" is forbidden` : `${qualified(kind)} is forbidden`
  const where = namespace ? ` in the namespace "${namespace}"` : ' at the cluster scope'
  const message = `${subject}: User "${user}" cannot ${verb} resource "${resource}" in API group "${kind.group}"${where}`
  return new Refusal(403, 'Forbidden', message, { ...(name ? { name } : {}), group: kind.group, kind: kind.plural })
}
