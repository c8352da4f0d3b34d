import type { ArnScope } from '../../sessions/runtime-id.ts'
import { GatewayError, notFound, validation } from '../errors.ts'

/** What a request is for, read from its method and raw path. */
export type Target =
  | { kind: 'health'; probe: 'healthz' | 'readyz' }
  | ({ kind: 'call'; operation: 'InvokeAgentRuntime' | 'StopRuntimeSession' } & RuntimeReference)
  /** The protected-resource document of an endpoint (RFC 9728). */
  | ({ kind: 'metadata' } & RuntimeReference)
  | { kind: 'metrics' }
  /** Which sessions are in use; of one namespace, or of all. */
  | { kind: 'activity'; namespace: string | undefined }

export interface RuntimeReference {
  runtimeId: string
  /** As in the path: percent-encoded once. */
  encodedArn: string
  /** `qualifier`: the endpoint's name. */
  endpoint: string
}

const METADATA = ['invocations', '.well-known', 'oauth-protected-resource'].join('/')
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const OPERATIONS = new Map([
  ['invocations', 'InvokeAgentRuntime'],
  ['stopruntimesession', 'StopRuntimeSession'],
] as const)
const ARN = /^arn:aws:bedrock-agentcore:([a-z0-9-]*):([0-9]*):runtime\/([^/]+)$/
const RUNTIME_ID = /^[a-zA-Z][a-zA-Z0-9_]{0,99}-[a-zA-Z0-9]{10}$/
const QUALIFIER = /^[a-zA-Z][a-zA-Z0-9_]{0,47}$/

/**
 * Reads the raw request target: no decoding before the segments are split (contract T4). Throws 400 for what is malformed,
 * 404 for an unknown path, account or region, 405 for a wrong method.
 */
export function parseTarget(method: string, rawTarget: string, scope: ArnScope): Target {
  const [path, query] = splitOnce(rawTarget, '?')
  if (path === '/healthz' || path === '/readyz') {
    if (method !== 'GET' && method !== 'HEAD') throw wrongMethod(path, 'GET', method)
    return { kind: 'health', probe: path.slice(1) as 'healthz' | 'readyz' }
  }
  const own = ownTarget(method, path)
  if (own) return own
  if (!path.startsWith('/'))
    throw validation('path', 'the request target must be a path: send it to this host directly, not in the form for a proxy')

  const segments = path.slice(1).split('/')
  const trailing = segments.at(-1) === '' ? segments.pop() : undefined
  if (segments.some((segment) => segment === '' || decoded(segment, 'path') === '..' || decoded(segment, 'path') === '.')) {
    throw validation('path', 'the path must not hold empty, "." or ".." segments')
  }
  const [root, encodedArn, last, ...more] = segments
  if (root === 'runtimes' && [last, ...more].join('/') === METADATA && trailing === undefined) {
    if (method !== 'GET' && method !== 'HEAD') throw wrongMethod('the protected-resource document', 'GET', method)
    return { kind: 'metadata', ...referenceOf(encodedArn!, query, scope) }
  }
  const operation = root === 'runtimes' && more.length === 0 ? OPERATIONS.get(last as 'invocations') : undefined
  if (operation === undefined || (trailing !== undefined && operation !== 'InvokeAgentRuntime')) {
    throw new GatewayError(
      'UnknownOperationException',
      `no operation has the path ${shown(path)}: POST /runtimes/{agentRuntimeArn}/invocations calls an agent`,
    )
  }
  if (method !== 'POST') throw wrongMethod(operation, 'POST', method)

  return { kind: 'call', operation, ...referenceOf(encodedArn!, query, scope) }
}

/** What is asked of this gateway itself. */
function ownTarget(method: string, path: string): Target | undefined {
  const activity = /^\/carrel\/v1\/(?:namespaces\/([^/]+)\/)?activity$/.exec(path)
  if (path !== '/metrics' && activity === null) return undefined
  if (method !== 'GET' && method !== 'HEAD') throw wrongMethod(path, 'GET', method)
  if (activity === null) return { kind: 'metrics' }
  const namespace = activity[1]
  if (namespace !== undefined && !NAMESPACE.test(namespace)) throw validation('namespace', `${shown(namespace)} is no name of a namespace`)
  return { kind: 'activity', namespace }
}

function referenceOf(encodedArn: string, query: string, scope: ArnScope): RuntimeReference {
  const parameters = new URLSearchParams(query)
  const endpoint = onlyOne(parameters, 'qualifier') ?? 'DEFAULT'
  if (!QUALIFIER.test(endpoint))
    throw validation('qualifier', 'a qualifier is the name of an endpoint: a letter, then letters, digits and _')
  const runtimeId = runtimeIdOf(decoded(encodedArn, 'agentRuntimeArn'), onlyOne(parameters, 'accountId'), scope)
  return { encodedArn, endpoint, runtimeId }
}

function onlyOne(parameters: URLSearchParams, name: string): string | null {
  if (parameters.getAll(name).length > 1) throw validation(name, `the query parameter ${name} was sent more than once`)
  return parameters.get(name)
}

function wrongMethod(what: string, allow: string, method: string): GatewayError {
  return new GatewayError('MethodNotAllowedException', `${what} is ${allow}, not ${shown(method)}`, { allow })
}

/** An ARN of this installation, or a bare id beside its account. */
function runtimeIdOf(reference: string, accountId: string | null, scope: ArnScope): string {
  const arn = ARN.exec(reference)
  const [, region, account, id] = arn ?? [undefined, scope.region, accountId ?? undefined, reference]
  if (!arn && reference.startsWith('arn:')) throw malformedArn(reference)
  if (account === undefined) throw validation('accountId', 'a bare agent runtime id needs the query parameter accountId beside it')
  if (!/^[0-9]{12}$/.test(account)) throw validation(arn ? 'agentRuntimeArn' : 'accountId', 'an account id has twelve digits')
  if (!RUNTIME_ID.test(id!)) throw malformedArn(reference)
  if (account !== scope.accountId || region !== scope.region || (accountId !== null && accountId !== scope.accountId)) {
    throw notFound(
      `no agent runtime ${shown(reference)} here: this installation serves account ${scope.accountId} in region ${scope.region}`,
    )
  }
  return id!
}

function malformedArn(reference: string): GatewayError {
  return validation(
    'agentRuntimeArn',
    `${shown(reference)} is not an agent runtime ARN: arn:aws:bedrock-agentcore:REGION:ACCOUNT:runtime/NAME-ID, its colons and slash percent-encoded once`,
  )
}

/** Once; what still decodes afterwards was encoded twice. */
function decoded(segment: string, field: string): string {
  try {
    const text = decodeURIComponent(segment)
    if (/%[0-9a-fA-F]{2}/.test(text)) throw validation(field, 'percent-encode the path once, not twice')
    // eslint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f]/.test(text)) throw validation(field, 'the path must not hold control characters')
    return text
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw validation(field, 'the path is not valid percent-encoding')
  }
}

export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** A caller's own text, short and without control characters. */
function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}
