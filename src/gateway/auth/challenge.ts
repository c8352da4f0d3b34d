import { GatewayError } from '../errors.ts'
import type { Headers } from '../http/headers-in.ts'
import type { RuntimeReference } from '../http/target.ts'

export interface BearerRefusal {
  /** RFC 6750, 3.1; absent when no token was sent. */
  error?: 'invalid_token' | 'insufficient_scope' | 'invalid_request'
  /** Coarse: never which value was expected. */
  description: string
}

/** 401 that tells a client where to get a token (contract 1.4, RFC 9728 section 5.1). `metadata`: where the protected-resource document is. */
export function unauthorized(refusal: BearerRefusal, metadata: string | undefined): GatewayError {
  const parts = [
    ...(refusal.error === undefined ? [] : [`error="${refusal.error}"`, `error_description="${quotable(refusal.description)}"`]),
    ...(metadata === undefined ? [] : [`resource_metadata="${quotable(metadata)}"`]),
  ]
  return new GatewayError('UnauthorizedException', refusal.description, { challenge: `Bearer ${parts.join(', ')}`.trim() })
}

/** What RFC 6750 allows inside the quotes. */
function quotable(text: string): string {
  return text.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '')
}

/** Of one endpoint, as its callers see this gateway; undefined when their Host header is no host. */
export function resourceUrl(
  { publicUrl }: { publicUrl?: string | undefined },
  headers: Headers,
  { encodedArn }: RuntimeReference,
): string | undefined {
  const host = headers.one('host') ?? ''
  const base = publicUrl ?? (/^[A-Za-z0-9.:[\]-]+$/.test(host) ? `http://${host}` : undefined)
  return base && `${base}/runtimes/${encodedArn}/invocations`
}

/** Where the protected-resource document of an endpoint is (contract 2.2). */
export function metadataUrl(
  options: { publicUrl?: string | undefined },
  headers: Headers,
  reference: RuntimeReference,
): string | undefined {
  const resource = resourceUrl(options, headers, reference)
  return resource && `${resource}/.well-known/oauth-protected-resource?qualifier=${reference.endpoint}`
}
