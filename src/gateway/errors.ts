/**
 * Every refusal of the gateway (contract 2.6). `type` goes into the header x-amzn-ErrorType and the body's __type, so that
 * AWS SDKs raise their own exception class; only 429, 500 and RetryableConflict are sent again by them.
 */
export const CATALOGUE = {
  ValidationException: { status: 400, doing: 'the request is malformed: mend the named field' },
  UnauthorizedException: { status: 401, doing: 'the bearer token is missing or not good for this agent runtime: get a new one' },
  ServiceQuotaExceededException: { status: 402, doing: 'a limit of the agent runtime is used up: end sessions, or raise spec.limits' },
  AccessDeniedException: { status: 403, doing: 'the caller could not be recognised, or may not do this' },
  ResourceNotFoundException: { status: 404, doing: 'what the request names does not exist here' },
  UnknownOperationException: { status: 404, doing: 'no operation has this path' },
  MethodNotAllowedException: { status: 405, doing: 'the path is right, the method is not' },
  RetryableConflictException: { status: 409, doing: 'the session is being opened or ended: send the same call again' },
  RuntimeClientError: { status: 424, doing: 'the agent failed: see its log' },
  ThrottlingException: { status: 429, doing: 'too much at once, or a part is out of reach: send the same call again later' },
  InternalServerException: { status: 500, doing: 'the gateway itself failed: see its log by the request id' },
} as const

export type ErrorType = keyof typeof CATALOGUE

export interface ErrorExtras {
  /** ValidationException: which field, and what of it. */
  field?: string
  /** Sent as Retry-After (seconds) and x-amz-retry-after (milliseconds). */
  retryAfterMs?: number
  /** Methods that the path takes, for 405. */
  allow?: string
  /** Sent as WWW-Authenticate, for 401. */
  challenge?: string
  cause?: unknown
}

/** A refusal on its way to the caller. The message says what to do and holds no secret. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly type: ErrorType
  readonly status: number
  readonly extras: ErrorExtras

  constructor(type: ErrorType, message: string, extras: ErrorExtras = {}) {
    super(message, { cause: extras.cause })
    this.type = type
    this.status = CATALOGUE[type].status
    this.extras = extras
  }
}

export const validation = (field: string, message: string): GatewayError => new GatewayError('ValidationException', message, { field })
export const denied = (message: string): GatewayError => new GatewayError('AccessDeniedException', message)
export const notFound = (message: string): GatewayError => new GatewayError('ResourceNotFoundException', message)
export const agentFailed = (message: string, cause?: unknown): GatewayError => new GatewayError('RuntimeClientError', message, { cause })

/** What goes on the wire, body as JSON. */
export function wireForm(error: GatewayError, requestId: string): { headers: Record<string, string>; body: string } {
  const { field, retryAfterMs, allow, challenge } = error.extras
  const validationDetails =
    field === undefined ? {} : { reason: 'FieldValidationFailed', fieldList: [{ name: field, message: error.message }] }
  return {
    headers: {
      'content-type': 'application/json',
      'x-amzn-errortype': error.type,
      'x-amzn-requestid': requestId,
      ...SAFE_HEADERS,
      ...(allow === undefined ? {} : { allow }),
      ...(challenge === undefined ? {} : { 'www-authenticate': challenge }),
      ...(retryAfterMs === undefined
        ? {}
        : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)), 'x-amz-retry-after': String(retryAfterMs) }),
    },
    body: JSON.stringify({ __type: error.type, message: error.message, ...validationDetails }),
  }
}

/** An agent's answer is shown by nobody's browser as a page of this origin (security rule 15). */
export const SAFE_HEADERS = { 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' }
