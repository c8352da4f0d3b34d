import { createHash } from 'node:crypto'

/** Raised when the hashed form changes, so that old and new names can never meet. */
const KEY_VERSION = 'carrel-session-v1'
const HASH_CHARACTERS = 20

/** Who owns a session. Byte-exact: no trimming, no case or Unicode folding. */
export interface Owner {
  /** Kind of identity: `kubernetes` (access keys, service accounts), `user` (named by one of those), `jwt`, or `runtime` (everybody). */
  kind: string
  issuer: string
  subject: string
}

/** All that makes a session the one it is. Never changes during its life. */
export interface SessionIdentity {
  runtimeName: string
  runtimeUID: string
  /** Endpoint name: authorizers differ by endpoint, so its sessions do. */
  endpoint: string
  owner: Owner
  /** The caller's session id, 33 to 256 characters (contract 2.1). */
  sessionId: string
}

/**
 * `<runtime>-<hash>`: the AgentSession's name (design rule 3). The owner is in it, so another caller's guess of a session
 * id opens that caller's own session. The hashed input is a length-prefixed list, so no two identities share one.
 */
export function sessionName(identity: SessionIdentity): string {
  const hash = createHash('sha256')
  for (const field of [
    KEY_VERSION,
    identity.runtimeUID,
    identity.endpoint,
    identity.owner.kind,
    identity.owner.issuer,
    identity.owner.subject,
    identity.sessionId,
  ]) {
    const bytes = Buffer.from(field, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  return `${identity.runtimeName}-${base32(hash.digest()).slice(0, HASH_CHARACTERS)}`
}

/** `<session>-<incarnation>`: deterministic, so that the API server itself refuses a second pod. */
export function podName(session: string, incarnation: number): string {
  return `${session}-${incarnation}`
}

export function sameIdentity(a: SessionIdentity, b: SessionIdentity): boolean {
  return (
    a.runtimeName === b.runtimeName &&
    a.runtimeUID === b.runtimeUID &&
    a.endpoint === b.endpoint &&
    a.owner.kind === b.owner.kind &&
    a.owner.issuer === b.owner.issuer &&
    a.owner.subject === b.owner.subject &&
    a.sessionId === b.sessionId
  )
}

/** RFC 4648 alphabet in lower case: valid in a DNS label. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32[(held >> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return text
}
