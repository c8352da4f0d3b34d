/** Adapter: passes a request's body on as it comes, for callers who were recognised by its head alone. */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { GatewayError, validation } from '../errors.ts'
import { slow, type Patience } from './receive.ts'
import { LONGEST_PAYLOAD_BYTES, tooLarge, type Payload } from './spool.ts'

/** The body, once. `fault`, when it could not be read to its end, is what its sender is to be told. */
export class Flow implements Payload {
  readonly isRepeatable = false
  /** As announced; undefined for a chunked one. */
  readonly announcedBytes: number | undefined
  bytes = 0
  fault: GatewayError | undefined
  readonly #request: IncomingMessage
  readonly #patience: Patience

  constructor(request: IncomingMessage, patience: Patience) {
    this.#request = request
    this.#patience = patience
    const length = request.headers['content-length']
    this.announcedBytes = length === undefined && request.headers['transfer-encoding'] !== undefined ? undefined : Number(length ?? 0)
  }

  stream(): Readable {
    return Readable.from(this.#pieces(), { objectMode: false })
  }

  async discard(): Promise<void> {
    if (!this.#request.complete) this.#request.resume()
  }

  async *#pieces(): AsyncGenerator<Buffer> {
    const deadline = AbortSignal.timeout(this.#patience.wholeMs)
    const chunks = this.#request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
    try {
      for (;;) {
        const { value, done } = await this.#next(chunks, deadline)
        if (done) return
        this.bytes += value.length
        if (this.bytes > LONGEST_PAYLOAD_BYTES) throw tooLarge()
        yield value
      }
    } catch (error) {
      this.fault =
        error instanceof GatewayError ? error : validation('payload', 'the payload was cut short: the connection ended before it was whole')
      throw this.fault
    }
  }

  /** Only the sender's silence counts: while the agent does not read, nobody waits here. */
  #next(chunks: AsyncIterator<Buffer>, deadline: AbortSignal): Promise<IteratorResult<Buffer>> {
    const { silenceMs, wholeMs } = this.#patience
    return new Promise((resolve, reject) => {
      const silence = setTimeout(() => end(() => reject(slow(`nothing of it came for ${silenceMs / 1000} s`))), silenceMs)
      const tooLate = (): void => end(() => reject(slow(`it was not complete within ${wholeMs / 1000} s`)))
      function end(how: () => void): void {
        clearTimeout(silence)
        deadline.removeEventListener('abort', tooLate)
        how()
      }
      deadline.addEventListener('abort', tooLate, { once: true })
      chunks.next().then(
        (result) => end(() => resolve(result)),
        (error: Error) => end(() => reject(error)),
      )
    })
  }
}
