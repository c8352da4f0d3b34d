import type { ApiResponse } from './transport.ts'
import type { Status } from './objects.ts'

/** The server answered, and refused. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status. */
  readonly status: number
  /** metav1 reason: NotFound, AlreadyExists, Conflict, Invalid, Expired, ... */
  readonly reason: string
  /** From Retry-After, when the server sent one. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message)
    this.status = status
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }

  static from(response: ApiResponse, doing: string): ApiError {
    const body = response.body as Partial<Status> | undefined
    const retryAfter = Number(response.headers['retry-after'])
    return new ApiError(
      response.status,
      (typeof body === 'object' && body?.reason) || 'Unknown',
      `${doing}: ${(typeof body === 'object' && body?.message) || `the API server answered ${response.status}`}`,
      Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter * 1000 : undefined,
    )
  }
}

/** No answer: refused, reset, timed out or aborted. Whether a write took effect is unknown. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
}

/** Not sent: this process is not, or no longer, the leader (`fenced-transport.ts`). A matter for its supervisor, not for a retry. */
export class NotLeadingError extends Error {
  override readonly name = 'NotLeadingError'

  constructor(doing: string) {
    super(`${doing}: not sent, because this process does not hold the leader's Lease`)
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409 && error.reason === 'Conflict'
export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === 'AlreadyExists'
/** The resourceVersion is too old: list again. */
export const isGone = (error: unknown): boolean => error instanceof ApiError && error.status === 410
