/** Adapter: reads the body of a request, within bounds of size and time. */
import type { IncomingMessage } from 'node:http'
import { type GatewayError, validation } from '../errors.ts'
import { LONGEST_PAYLOAD_BYTES, Spool, tooLarge, type Body, type SpoolOptions } from './spool.ts'

/** How long a sender may take. */
export interface Patience {
  /** Between two pieces of the body. */
  silenceMs: number
  /** For all of it: 100 MB at 110 kB a second. */
  wholeMs: number
}

export const DEFAULT_PATIENCE: Patience = { silenceMs: 20_000, wholeMs: 900_000 }

/** Throws 400 before a byte was read, when the request itself says that it is too large. */
export function refuseTooLarge(request: IncomingMessage): void {
  if (Number(request.headers['content-length'] ?? 0) > LONGEST_PAYLOAD_BYTES) throw tooLarge()
}

/**
 * Throws 400 for a payload that is too large, cut short or too slow, 429 over quota, 500 when the disk is full. Nothing stays
 * behind then, and the connection still takes an answer.
 */
export async function receive(request: IncomingMessage, options: SpoolOptions, patience: Patience): Promise<Body> {
  const spool = new Spool(options)
  try {
    await eachChunk(request, patience, (chunk) => spool.add(chunk))
    return spool.finish()
  } catch (error) {
    await spool.discard()
    throw error
  }
}

/** Hands over the chunks one at a time: while one is being taken, the sender waits. Settles when none is being taken any more. */
function eachChunk(
  request: IncomingMessage,
  { silenceMs, wholeMs }: Patience,
  take: (chunk: Buffer) => Promise<void> | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined
    let isSettled = false
    const silence = setTimeout(() => fail(slow(`nothing of it came for ${silenceMs / 1000} s`)), silenceMs)
    const whole = setTimeout(() => fail(slow(`it was not complete within ${wholeMs / 1000} s`)), wholeMs)

    function settle(how: () => void): void {
      if (isSettled) return
      isSettled = true
      clearTimeout(silence)
      clearTimeout(whole)
      request.off('data', onData).off('end', onEnd).off('close', onClose)
      if (taking) taking.then(how, how)
      else how()
    }
    function fail(error: Error): void {
      settle(() => reject(error))
    }
    function onEnd(): void {
      settle(resolve)
    }
    function onClose(): void {
      fail(validation('payload', 'the payload was cut short: the connection ended before it was whole'))
    }
    function onTaken(): void {
      taking = undefined
      if (isSettled) return
      silence.refresh()
      request.resume()
    }
    function onData(chunk: Buffer): void {
      silence.refresh()
      try {
        taking = take(chunk)
      } catch (error) {
        return fail(error as Error)
      }
      if (taking === undefined) return
      request.pause()
      taking.then(onTaken, fail)
    }
    request.once('end', onEnd).once('close', onClose).on('data', onData)
    if (request.destroyed && !request.complete) onClose()
  })
}

/** 400 for a sender that takes too long. */
export function slow(how: string): GatewayError {
  return validation('payload', `the payload is sent too slowly: ${how}`)
}
