import { createHash, createHmac } from 'node:crypto'

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

/** Hex signature of the request. `amzDate` is `YYYYMMDDTHHMMSSZ`. */
export function signatureOf(parts: SignedParts, secret: string, amzDate: string, scope: CredentialScope): string {
  const { date, region, service } = scope
  const hashed = createHash('sha256').update(canonicalRequest(parts), 'latin1').digest('hex')
  const toSign = [ALGORITHM, amzDate, `${date}/${region}/${service}/aws4_request`, hashed].join('\n')
  const key = [date, region, service, 'aws4_request'].reduce<Buffer>((from, part) => hmac(from, part), Buffer.from(`AWS4${secret}`))
  return hmac(key, toSign).toString('hex')
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
