/**
 * Who may speak to the laptop's API server at all (security row 5): only callers that address it by its loopback name,
 * that are no web page, and that hold a token. So a page in the user's browser can neither drive nor read it, not by a
 * form, not by a script, not by a name that it rebinds to 127.0.0.1.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Identity } from '../call.ts'
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

/**
 * The identity whose token the Authorization header carries; undefined when there is none or it is unknown. All tokens
 * are compared, by digest, in a time that does not depend on how much of one was right.
 */
export function identify(headers: RawHeaders, tokens: ReadonlyMap<string, Identity>): Identity | undefined {
  const [header, ...more] = valuesOf(headers, 'authorization')
  const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1]
  if (token === undefined || more.length > 0) return undefined
  const presented = digest(token)
  let found: Identity | undefined
  for (const [known, identity] of tokens) if (timingSafeEqual(digest(known), presented)) found = identity
  return found
}

export const unauthorized = (): Refusal => new Refusal(401, 'Unauthorized', 'Unauthorized')

function forbidden(message: string): Refusal {
  return new Refusal(403, 'Forbidden', message)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function valuesOf(headers: RawHeaders, name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1]!.toLowerCase() === name)
}
