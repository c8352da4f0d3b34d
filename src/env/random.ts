/** Chance as a port (design rule 9): a seed replays a whole run. */
export interface Random {
  /** `size` unpredictable bytes (predictable only under a test's seed). */
  bytes(size: number): Uint8Array
  /** Uniform in [0, 1). For jitter, never for secrets. */
  fraction(): number
}

/** RFC 9562 version 4. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
