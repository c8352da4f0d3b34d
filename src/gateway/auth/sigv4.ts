import { timingSafeEqual } from 'node:crypto'
import type { ClusterUser } from '../../kube/reviews.ts'
import type { ArnScope } from '../../sessions/runtime-id.ts'
import { ALGORITHM, canonicalHeader, signatureOf, type SigningKeys } from '../../sigv4/canonical.ts'
import { denied } from '../errors.ts'
import type { Headers } from '../http/headers-in.ts'
import type { AccessKey, AccessKeys } from './access-keys.ts'

const SERVICE = 'bedrock-agentcore'
/** How far a caller's clock may be off. */
const LONGEST_SKEW_MS = 5 * 60_000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/

/** A claim that was read from the headers alone; it is worth nothing until `verify` has seen the body's hash. */
export interface SignatureClaim {
  key: AccessKey
  amzDate: string
  date: string
  signedHeaders: readonly string[]
  signature: string
}

/**
 * AWS Signature Version 4, the verifying side (contract 2.7). In two steps, so that a caller who cannot be right is told
 * before a byte of the body is read, and no byte goes anywhere before the signature over all of it was verified.
 */
export function readClaim(headers: Headers, rawQuery: string, keys: AccessKeys, scope: ArnScope, nowMs: number): SignatureClaim {
  if (/(^|&)X-Amz-(Signature|Algorithm)=/i.test(rawQuery)) throw denied('presigned URLs are not taken for this operation: sign the headers')
  const authorization = headers.one('authorization')
  if (authorization === undefined)
    throw denied('the request is not signed: sign it with an access key of this installation (AWS Signature Version 4)')
  const match = AUTHORIZATION.exec(authorization)
  if (!match) throw denied(`the Authorization header is not a complete ${ALGORITHM} signature: sign the request with an AWS SDK`)
  const [, accessKeyId, date, region, service, signedHeaders, signature] = match as unknown as string[]

  const key = keys.find(accessKeyId!, nowMs)
  if (key === undefined)
    throw denied(
      `the access key ${accessKeyId} is not one of this installation: source its env file in this shell, or make a new one (carrel keys create)`,
    )
  if (headers.all('x-amz-security-token').length > 0) {
    throw denied("this installation's keys have no session token: unset AWS_SESSION_TOKEN (sourcing the env file does)")
  }
  if (region !== scope.region)
    throw denied(`the signature is for region ${region}, this installation's is ${scope.region}: set AWS_REGION and AWS_DEFAULT_REGION`)
  if (service !== SERVICE) throw denied(`the signature is for service ${service}, this one is ${SERVICE}`)
  const claim = {
    key,
    date: date!,
    signature: signature!,
    signedHeaders: signedHeaders!.split(';'),
    amzDate: headers.one('x-amz-date') ?? '',
  }
  checkClock(claim, nowMs)
  checkCovered(claim, headers)
  checkPayloadIsSigned(headers)
  return claim
}

function checkClock({ amzDate, date }: SignatureClaim, nowMs: number): void {
  const parts = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(amzDate)
  if (!parts || !amzDate.startsWith(date)) throw denied('x-amz-date is missing, malformed, or not of the day in the credential scope')
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [number, number, number, number, number, number]
  const theirsMs = Date.UTC(year, month - 1, day, hour, minute, second)
  if (Math.abs(theirsMs - nowMs) <= LONGEST_SKEW_MS) return
  throw denied(
    `the clocks differ by more than 5 minutes: the request was signed at ${new Date(theirsMs).toISOString()}, here it is ${new Date(nowMs).toISOString()}`,
  )
}

/** Whatever decides who calls what must be under the signature (security rule 12). */
function checkCovered({ signedHeaders }: SignatureClaim, headers: Headers): void {
  if (!signedHeaders.includes('host')) throw denied('the Host header must be signed')
  for (const name of signedHeaders)
    if (headers.all(name).length === 0) throw denied(`the signature covers the header ${name}, which the request does not have`)
  for (const name of headers.names()) {
    const decides = name.startsWith('x-amz-') || name.startsWith('x-amzn-bedrock-agentcore-')
    if (decides && !signedHeaders.includes(name)) throw denied(`the header ${name} must be signed`)
  }
}

function checkPayloadIsSigned(headers: Headers): void {
  const stated = headers.one('x-amz-content-sha256')
  if (stated === undefined || /^[0-9a-f]{64}$/.test(stated)) return
  throw denied(
    `x-amz-content-sha256 is ${JSON.stringify(stated.slice(0, 64))}: unsigned and chunk-signed payloads are not taken, sign the whole payload`,
  )
}

export interface ReceivedRequest {
  method: string
  rawPath: string
  rawQuery: string
  headers: Headers
  /** Hex, of the whole body. */
  bodySha256: string
}

/** Throws 403 unless the signature is the key's own over exactly this request. */
export function verify(claim: SignatureClaim, request: ReceivedRequest, scope: ArnScope, signingKeys: SigningKeys): ClusterUser {
  const stated = request.headers.one('x-amz-content-sha256')
  if (stated !== undefined && stated !== request.bodySha256) {
    throw denied('the body is not the one that was signed (x-amz-content-sha256 differs)')
  }
  const headers = new Map(claim.signedHeaders.map((name) => [name, canonicalHeader(request.headers.all(name))]))
  const { method, rawPath, rawQuery, bodySha256 } = request
  const parts = { method, rawPath, rawQuery, headers, payloadHash: bodySha256 }
  const credential = { date: claim.date, region: scope.region, service: SERVICE }
  const expected = signatureOf(parts, signingKeys.of(claim.key, credential), claim.amzDate, credential)
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(claim.signature))) {
    throw denied(
      'the signature does not match the request: the secret key differs, or path, query, a signed header or the body was changed after signing',
    )
  }
  return { name: claim.key.user, groups: [...claim.key.groups, 'system:authenticated'] }
}
