import type { Headers } from '../http/headers-in.ts'

/** How a request says who calls. */
export type Scheme = 'none' | 'signature' | 'bearer' | 'unknown'

/** Throws 400 for two Authorization headers. */
export function schemeOf(headers: Headers): Scheme {
  return schemeIn(headers.one('authorization'))
}

/** RFC 9110: scheme names are not case-sensitive. */
export function schemeIn(authorization: string | undefined): Scheme {
  if (authorization === undefined) return 'none'
  if (/^bearer(\s|$)/i.test(authorization)) return 'bearer'
  return authorization.startsWith('AWS4-HMAC-SHA256') ? 'signature' : 'unknown'
}

/** RFC 6750, 2.1; undefined when what follows the scheme is no token. */
export function bearerOf(headers: Headers): string | undefined {
  return /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(headers.one('authorization') ?? '')?.[1]
}
