import { SESSION_HEADER, type Headers } from '../http/headers-in.ts'
import { SAFE_HEADERS } from '../errors.ts'

const TRACE = ['x-amzn-trace-id', 'traceparent', 'tracestate', 'baggage']
const CUSTOM_PREFIX = 'x-amzn-bedrock-agentcore-runtime-custom-'
const REQUEST_ID_HEADER = 'x-amzn-bedrock-agentcore-runtime-request-id'

/** Never forwarded, whatever an allow-list says (contract 1.2). Compared with case and underscore folded (security rule 15). */
const RESTRICTED = new Set([
  'authorization',
  'proxy-authorization',
  'www-authenticate',
  'cache-control',
  'etag',
  'pragma',
  'vary',
  'expires',
  'last-modified',
  'connection',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'transfer-encoding',
  'host',
  'user-agent',
  'referer',
  'from',
  'range',
  'server',
  'date',
  'location',
  'retry-after',
  'cookie',
  'set-cookie',
  'content-security-policy',
  'strict-transport-security',
  'x-frame-options',
  'origin',
  'via',
  'forwarded',
  'x-real-ip',
  'true-client-ip',
  'x-requested-with',
  'x-csrf-token',
  'referrer-policy',
  'permissions-policy',
  'dpr',
  'device-memory',
  'save-data',
  'viewport-width',
  'downlink',
  'ect',
  'rtt',
  'expect',
  'workloadaccesstoken',
  'oauth2callbackurl',
])
const RESTRICTED_PREFIXES = [
  'accept',
  'content-',
  'if-',
  'access-control-',
  'cross-origin-',
  'sec-',
  'x-forwarded-',
  'x-amz-',
  'x-amzn-',
  'proxy-',
  'amz-sdk-',
]
/** Generator handlers of the TypeScript SDK answer 406 without it (contract T3). */
const ACCEPT_ANYTHING = 'application/json, text/event-stream, */*'

export interface Forwarded {
  sessionId: string
  requestId: string
  /** spec.requestHeaders.allow of the endpoint's version. */
  allowed: readonly string[]
  /** undefined: sent in chunks. */
  contentLength: number | undefined
  /** Of a runtime with a customJWT. A token that is good for a named audience may be passed on to the agent, where it is allowed. */
  bearer?: { mayPassOn: boolean } | undefined
}

/** Headers of the request to the agent: those that Carrel writes, and from the caller only what the contract lets through. */
export function toAgent(headers: Headers, { sessionId, requestId, allowed, contentLength, bearer }: Forwarded): Record<string, string> {
  const contentType = headers.one('content-type')
  const accept = headers.one('accept')
  const out: Record<string, string> = {
    'content-type': contentType === undefined || contentType === 'application/octet-stream' ? 'application/json' : contentType,
    accept: accept === undefined || accept === '*/*' ? ACCEPT_ANYTHING : accept,
    ...(contentLength === undefined ? {} : { 'content-length': String(contentLength) }),
    [SESSION_HEADER]: sessionId,
    [REQUEST_ID_HEADER]: requestId,
  }
  for (const name of TRACE) if (headers.all(name).length > 0) out[name] = headers.all(name).join(',')
  if (bearer && out['baggage'] !== undefined) {
    const baggage = withoutPlatformKeys(out['baggage'])
    if (baggage === '') delete out['baggage']
    else out['baggage'] = baggage
  }
  for (const name of allowed.map((listed) => listed.toLowerCase())) {
    const mayPass = name === 'authorization' ? bearer?.mayPassOn === true : isForwardable(name)
    if (mayPass && headers.all(name).length > 0) out[name] = headers.all(name).join(', ')
  }
  return out
}

/** Whoever has a token must not choose what the platform decides (security rule 15). */
function withoutPlatformKeys(baggage: string): string {
  return baggage
    .split(',')
    .filter((member) => !member.trim().toLowerCase().startsWith('aws.agentcore.'))
    .join(',')
}

function isForwardable(name: string): boolean {
  const folded = name.replaceAll('_', '-')
  if (folded.startsWith(CUSTOM_PREFIX)) return true
  return (
    !RESTRICTED.has(folded) &&
    !RESTRICTED.has(folded.replaceAll('-', '')) &&
    !RESTRICTED_PREFIXES.some((prefix) => folded.startsWith(prefix))
  )
}

/** Response headers of the agent that reach the caller: what the contract models, and how to read the body. */
const FROM_AGENT = new Set(['content-type', 'content-length', 'content-encoding', ...TRACE])

// What Node writes as a header value. An agent that sends something else must not cost the caller the whole answer.
const WRITABLE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Headers of the caller's answer. `received` as undici gives them. */
export function toCaller(
  received: Record<string, string | string[] | undefined>,
  { sessionId, requestId }: Pick<Forwarded, 'sessionId' | 'requestId'>,
): Record<string, string> {
  const out: Record<string, string> = { ...SAFE_HEADERS, [SESSION_HEADER]: sessionId, 'x-amzn-requestid': requestId }
  for (const [name, value] of Object.entries(received)) {
    if (value === undefined || !(FROM_AGENT.has(name) || name.startsWith(CUSTOM_PREFIX))) continue
    const text = Array.isArray(value) ? value.join(', ') : value
    if (WRITABLE.test(text)) out[name] = text
  }
  if (out['content-type']?.startsWith('text/event-stream')) out['x-accel-buffering'] = 'no'
  return out
}
