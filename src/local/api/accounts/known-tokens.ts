import { createHash, timingSafeEqual } from 'node:crypto'
import type { Identity } from '../call.ts'

/** Bearer token → caller. */
export type KnownTokens = ReadonlyMap<string, Identity>

/** Whose token it is. All are compared, by digest, in a time that does not depend on how much of one was right. */
export function holderOf(token: string, tokens: KnownTokens): Identity | undefined {
  const presented = digest(token)
  let found: Identity | undefined
  for (const [known, identity] of tokens) if (timingSafeEqual(digest(known), presented)) found = identity
  return found
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
