import { GatewayError } from '../errors.ts'
import type { LimitObserver } from '../metrics.ts'

/** Bytes that bodies on disk may take, by access key, by client address, and together. */
export interface SpoolLimits {
  perKeyBytes: number
  perAddressBytes: number
  totalBytes: number
}

/** What small bodies may take of memory, all together; more goes to disk, however small. */
const MEMORY_BYTES = 64 * 1024 * 1024
const TOTAL = 'total'

/** Counts what is held right now; a body that would go over is refused, not queued. */
export class SpoolQuota {
  readonly #limits: SpoolLimits
  readonly #observer: LimitObserver | undefined
  readonly #held = new Map<string, number>()
  #memoryBytes = 0

  constructor(limits: SpoolLimits, observer?: LimitObserver) {
    this.#limits = limits
    this.#observer = observer
  }

  get diskBytes(): number {
    return this.#held.get(TOTAL) ?? 0
  }

  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Takes bytes on disk. Throws 429 when one of the three is used up. */
  take(key: string, address: string, bytes: number): void {
    const { perKeyBytes, perAddressBytes, totalBytes } = this.#limits
    const limits = [
      [`key ${key}`, perKeyBytes],
      [`address ${address}`, perAddressBytes],
      [TOTAL, totalBytes],
    ] as const
    for (const [name, limit] of limits) {
      if ((this.#held.get(name) ?? 0) + bytes <= limit) continue
      this.#observer?.limited('spooledBytes')
      throw new GatewayError('ThrottlingException', 'too many large payloads are in flight: send this one when others have ended', {
        retryAfterMs: 2_000,
      })
    }
    this.#add(key, address, bytes)
  }

  release(key: string, address: string, bytes: number): void {
    this.#add(key, address, -bytes)
  }

  /** Takes bytes of memory; false: there are none left. */
  takeMemory(bytes: number): boolean {
    if (this.#memoryBytes + bytes > MEMORY_BYTES) return false
    this.#memoryBytes += bytes
    return true
  }

  releaseMemory(bytes: number): void {
    this.#memoryBytes -= bytes
  }

  #add(key: string, address: string, bytes: number): void {
    for (const name of [`key ${key}`, `address ${address}`, TOTAL]) {
      const held = (this.#held.get(name) ?? 0) + bytes
      if (held > 0) this.#held.set(name, held)
      else this.#held.delete(name)
    }
  }
}
