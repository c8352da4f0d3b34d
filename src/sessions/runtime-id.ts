import { createHash } from 'node:crypto'

/** Account and region that this installation's ARNs carry. The region must look like one of AWS' (contract T18). */
export interface ArnScope {
  /** Twelve digits. */
  accountId: string
  region: string
}

const SUFFIX_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const SUFFIX_CHARACTERS = 10

/**
 * `name_with_underscores-10alnum` (contract 3.2). The suffix comes from metadata.uid, which the API server wrote, so
 * nobody can claim another runtime's id; whoever needs the id computes it, and none reads it from a status.
 */
export function agentRuntimeId(runtime: { metadata: { name: string; uid?: string } }): string {
  const digest = createHash('sha256').update(`carrel-runtime-v1:${runtime.metadata.uid}`).digest()
  const suffix = Array.from(digest.subarray(0, SUFFIX_CHARACTERS), (byte) => SUFFIX_ALPHABET[byte % SUFFIX_ALPHABET.length]).join('')
  return `${runtime.metadata.name.replaceAll('-', '_')}-${suffix}`
}

export function agentRuntimeArn(runtimeId: string, scope: ArnScope): string {
  return `arn:aws:bedrock-agentcore:${scope.region}:${scope.accountId}:runtime/${runtimeId}`
}
