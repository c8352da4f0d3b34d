import { createHmac, hash } from 'node:crypto'

/** The parts of a request that AWS Signature Version 4 covers. */
export interface SignedParts {
  method: string
  /** As on the wire: percent-encoded once. It is encoded a second time here (contract 2.7). */
  rawPath: string
  rawQuery: string
  /** Lower-case name → value, trimmed and joined, for each signed header. */
  headers: ReadonlyMap<string, string>
  /** Hex SHA-256 of the body, or the value of x-amz-content-sha256. */
  payloadHash: string
}

export interface CredentialScope {
  /** `YYYYMMDD`. */
  date: string
  region: string
  service: string
}

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** Hex signature of the request. `amzDate` is `YYYYMMDDTHHMMSSZ`; `key` comes from `signingKey` of the same scope. */
export function signatureOf(parts: SignedParts, key: Buffer, amzDate: string, scope: CredentialScope): string {
  const { date, region, service } = scope
  const hashed = hash('sha256', Buffer.from(canonicalRequest(parts), 'latin1'), 'hex')
  const toSign = [ALGORITHM, amzDate, `${date}/${region}/${service}/aws4_request`, hashed].join('\n')
  return hmac(key, toSign).toString('hex')
}

/** What a secret signs with on one day, for one region and service. */
export function signingKey(secret: string, { date, region, service }: CredentialScope): Buffer {
  return [date, region, service, 'aws4_request'].reduce<Buffer>((from, part) => hmac(from, part), Buffer.from(`AWS4${secret}`))
}

/** Keeps each access key's signing key of the day: deriving it is most of the work of a small request. */
export class SigningKeys {
  readonly #keys = new WeakMap<object, { scope: string; key: Buffer }>()

  of(accessKey: { secretAccessKey: string }, scope: CredentialScope): Buffer {
    const wanted = `${scope.date}/${scope.region}/${scope.service}`
    const known = this.#keys.get(accessKey)
    if (known?.scope === wanted) return known.key
    const key = signingKey(accessKey.secretAccessKey, scope)
    this.#keys.set(accessKey, { scope: wanted, key })
    return key
  }
}

export function canonicalRequest({ method, rawPath, rawQuery, headers, payloadHash }: SignedParts): string {
  const names = [...headers.keys()].toSorted()
  return [
    method,
    rawPath.split('/').map(uriEncode).join('/'),
    canonicalQuery(rawQuery),
    ...names.map((name) => `${name}:${headers.get(name)}`),
    '',
    names.join(';'),
    payloadHash,
  ].join('\n')
}

/** Sorted by encoded name, then by encoded value. */
function canonicalQuery(rawQuery: string): string {
  if (rawQuery === '') return ''
  return rawQuery
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=')
      const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
      return [uriEncode(uriDecode(name)), uriEncode(uriDecode(value))] as const
    })
    .toSorted(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** Trimmed, inner runs of white space folded to one space (as boto3 and the JavaScript SDK do), several values joined by a comma. */
export function canonicalHeader(values: readonly string[]): string {
  return values.map((value) => value.trim().replaceAll(/\s+/g, ' ')).join(',')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** RFC 3986: everything but the unreserved characters. */
function uriEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

function uriDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
