/**
 * The access log: one line a request, and what it says. The schema is the one truth; docs/reference/access-log.md comes from
 * it. Never in a line: queries, headers, bodies, tokens, keys.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Owner } from '../sessions/key.ts'
import type { Headers } from './http/headers-in.ts'
import { splitOnce } from './http/target.ts'
import { AUTHENTICATIONS, OPERATIONS, type Authentication, type Operation } from './metrics.ts'

const LONGEST_PATH = 512
const HASH_CHARACTERS = 16
const INVOCATION_ID = /^[A-Za-z0-9-]{1,64}$/
const ATTEMPT = /(?:^|;\s*)attempt=(\d{1,4})(?:;|$)/

export const accessLine = z.strictObject({
  requestId: z.string().max(64).describe('Ours, also sent as x-amzn-requestid.'),
  method: z.string().max(32).describe('HTTP method.'),
  path: z.string().max(LONGEST_PATH).describe('As sent, without the query (which may hold tokens), cut after 512 characters.'),
  operation: z.enum(OPERATIONS).describe('What the request was for; Unknown when its target could not be read.'),
  runtimeId: z.string().max(128).optional().describe('The id in the ARN that was called.'),
  endpoint: z.string().max(48).optional().describe('The qualifier; DEFAULT without one.'),
  authentication: z.enum(AUTHENTICATIONS).describe('How the caller was recognised; none until it was.'),
  user: z.string().max(1024).optional().describe('The Kubernetes user, for sigv4 and serviceaccount.'),
  issuer: z.string().max(1024).optional().describe('Issuer of the token, for jwt.'),
  subject: z
    .string()
    .max(1024)
    .optional()
    .describe(
      'Who the token speaks of, or whom the user-id header names: the first 16 hexadecimal digits of SHA-256 over the issuer (of the header: the user), a newline and the subject; in clear where the installation says so (`logSubjects`).',
    ),
  sessionId: z.string().max(256).optional().describe('As sent, or as made for a call without one.'),
  status: z.int().describe('Of the answer; 0 when the caller left before it had one.'),
  complete: z.boolean().describe('The answer was sent to its end.'),
  errorType: z.string().max(64).optional().describe("The refusal's type (docs/reference/errors.md)."),
  bytesIn: z.int().min(0).optional().describe('Of the payload that was read.'),
  bytesOut: z.int().min(0).optional().describe("Of the agent's answer."),
  ms: z.int().min(0).describe('From the head of the request to the end of its answer.'),
  waitedMs: z.int().min(0).optional().describe('Of it, from when the session was looked for until its pod took the call.'),
  awsInvocationId: z.string().max(64).optional().describe('amz-sdk-invocation-id: the same for all attempts of one call.'),
  attempt: z.int().min(1).optional().describe('Which attempt of it, by amz-sdk-request.'),
})

export type AccessLine = z.output<typeof accessLine>

export interface AccessOptions {
  /** Subjects of tokens in clear, not by hash. */
  logSubjects?: boolean
}

export interface Outcome {
  /** Undefined: nothing was sent. */
  status: number | undefined
  complete: boolean
  errorType: string | undefined
  ms: number
}

/** What becomes known of one request on its way. */
export class AccessEntry {
  readonly requestId: string
  operation: Operation = 'Unknown'
  authentication: Authentication = 'none'
  sessionId: string | undefined
  bytesIn: number | undefined
  bytesOut: number | undefined
  waitedMs: number | undefined
  readonly #logSubjects: boolean
  readonly #first: Pick<AccessLine, 'method' | 'path'>
  #target: { runtimeId?: string; endpoint?: string } = {}
  #caller: { user?: string; issuer?: string; subject?: string } = {}
  #attempt: { awsInvocationId?: string; attempt?: number } = {}

  constructor(requestId: string, method: string | undefined, rawTarget: string, { logSubjects = false }: AccessOptions = {}) {
    this.requestId = requestId
    this.#logSubjects = logSubjects
    this.#first = { method: (method ?? '').slice(0, 32), path: splitOnce(rawTarget, '?')[0].slice(0, LONGEST_PATH) }
  }

  aimedAt(operation: Operation, reference: { runtimeId?: string; endpoint?: string } = {}): void {
    this.operation = operation
    const { runtimeId, endpoint } = reference
    this.#target = { ...(runtimeId === undefined ? {} : { runtimeId }), ...(endpoint === undefined ? {} : { endpoint }) }
  }

  /** What an AWS SDK says of its own attempts. */
  attemptedAs(headers: Headers): void {
    const [id] = headers.all('amz-sdk-invocation-id')
    const attempt = Number(ATTEMPT.exec(headers.all('amz-sdk-request')[0] ?? '')?.[1] ?? 0)
    this.#attempt = {
      ...(id !== undefined && INVOCATION_ID.test(id) ? { awsInvocationId: id } : {}),
      ...(attempt > 0 ? { attempt } : {}),
    }
  }

  /** `user`: of the cluster, where there is one. Of whom else the call is, is told by hash. */
  calledBy(authentication: Authentication, owner: Owner, user?: { name: string }): void {
    this.authentication = authentication
    const { kind, issuer, subject } = owner
    this.#caller = {
      ...(user === undefined ? {} : { user: user.name }),
      ...(kind === 'jwt' ? { issuer } : {}),
      ...(kind === 'jwt' || kind === 'user' ? { subject: this.#logSubjects ? subject : hashOf(issuer, subject) } : {}),
    }
  }

  line({ status, complete, errorType, ms }: Outcome): AccessLine {
    const { requestId, operation, authentication, sessionId, bytesIn, bytesOut, waitedMs } = this
    return {
      requestId,
      ...this.#first,
      operation,
      ...this.#target,
      authentication,
      ...this.#caller,
      ...(sessionId === undefined ? {} : { sessionId }),
      status: status ?? 0,
      complete,
      ...(errorType === undefined ? {} : { errorType }),
      ...(bytesIn === undefined ? {} : { bytesIn }),
      ...(bytesOut === undefined ? {} : { bytesOut }),
      ms: Math.round(ms),
      ...(waitedMs === undefined ? {} : { waitedMs: Math.round(waitedMs) }),
      ...this.#attempt,
    }
  }
}

/** Tells two callers apart and one from day to day, without their names. Not secret: who guesses a subject can check it. */
function hashOf(issuer: string, subject: string): string {
  return createHash('sha256').update(`${issuer}\n${subject}`).digest('hex').slice(0, HASH_CHARACTERS)
}
