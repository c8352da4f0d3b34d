/**
 * Who may speak to the laptop's API server at all (security row 5): only callers that address it by its loopback name,
 * that are no web page, and that hold a token. So a page in the user's browser can neither drive nor read it, not by a
 * form, not by a script, not by a name that it rebinds to 127.0.0.1.
 */
import type { Asked } from '../rbac/impersonation.ts'
import { Refusal } from '../statuses.ts'

/** Names and values in turn, as they came: `IncomingMessage.rawHeaders`. */
export type RawHeaders = readonly string[]

/** Undefined: the request is addressed to this server, by something that is no browser. */
export function misdirection(target: string, headers: RawHeaders, port: number): Refusal | undefined {
  if (!target.startsWith('/')) return forbidden(`the request target must be a path, not ${JSON.stringify(target.slice(0, 80))}`)
  const hosts = valuesOf(headers, 'host')
  const known = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]
  if (hosts.length !== 1 || !known.includes(hosts[0]!.toLowerCase())) {
    return forbidden(`Host ${JSON.stringify(hosts.join(', ').slice(0, 80))} is not this server: use one of ${known.join(', ')}`)
  }
  if (valuesOf(headers, 'origin').length > 0) {
    return forbidden('requests with an Origin header are refused: this API is not for web pages')
  }
  return undefined
}

/** The token that the Authorization header carries, whether it is known or not; undefined when there is none. */
export function bearerOf(headers: RawHeaders): string | undefined {
  const [header, ...more] = valuesOf(headers, 'authorization')
  return more.length > 0 ? undefined : /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
}

/** As whom the caller wants to be taken; undefined: as itself. */
export function impersonationIn(headers: RawHeaders): Asked | undefined {
  const names = headers.filter((name, at) => at % 2 === 0 && name.toLowerCase().startsWith('impersonate-'))
  if (names.length === 0) return undefined
  const [user] = valuesOf(headers, 'impersonate-user')
  const [uid] = valuesOf(headers, 'impersonate-uid')
  const others = names.filter((name) => !['impersonate-user', 'impersonate-uid', 'impersonate-group'].includes(name.toLowerCase()))
  return { groups: valuesOf(headers, 'impersonate-group'), others, ...(user ? { user } : {}), ...(uid ? { uid } : {}) }
}

export const unauthorized = (): Refusal => new Refusal(401, 'Unauthorized', 'Unauthorized')

function forbidden(message: string): Refusal {
  return new Refusal(403, 'Forbidden', message)
}

function valuesOf(headers: RawHeaders, name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1]!.toLowerCase() === name)
}
