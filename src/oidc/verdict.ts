import type { DocumentFault } from './document-error.ts'

/** RFC 6750, 3.1. The description goes to the caller: it never tells what was expected. */
export interface Refusal {
  allowed: false
  error: 'invalid_token' | 'insufficient_scope' | 'invalid_request'
  description: string
}

export interface Permission {
  allowed: true
  issuer: string
  subject: string
  /** Wall time. */
  expiresAtMs: number
}

/** `unavailable`: neither, because the provider cannot be asked and no keys of it are there. */
export type Verdict = Permission | Refusal | { unavailable: true; code: DocumentFault }
