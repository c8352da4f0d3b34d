/** Adapter: receives whole bodies, small ones in memory, large ones in an unlinked file. */
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { open, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { GatewayError, validation } from '../errors.ts'
import type { SpoolQuota } from './quota.ts'

/** Contract 2.1. */
export const LONGEST_PAYLOAD_BYTES = 100_000_000
const IN_MEMORY_BYTES = 256 * 1024
/** A sender that is silent for this long is given up. */
const SILENCE_MS = 20_000
const READ_CHUNK_BYTES = 64 * 1024

/** A body that was received whole. Call `discard` when it is not needed any more. */
export interface Body {
  /** Hex. */
  sha256: string
  bytes: number
  /** From the first byte, each time. */
  stream(): Readable | Buffer
  discard(): Promise<void>
}

export interface Receiving {
  directory: string
  quota: SpoolQuota
  accessKeyId: string
  address: string
}

export function refuseTooLarge(request: IncomingMessage): void {
  if (Number(request.headers['content-length'] ?? 0) > LONGEST_PAYLOAD_BYTES) throw tooLarge()
}

/** Throws 400 for a payload that is too large or cut short, 429 over quota, 500 when the disk is full; nothing stays behind then. */
export async function receive(request: IncomingMessage, options: Receiving): Promise<Body> {
  const spool = new Spool(options)
  request.setTimeout(SILENCE_MS, () => request.destroy(new Error('silent')))
  try {
    // Leaving the loop early must not close the connection: its sender is still to be answered.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) await spool.add(chunk)
    request.setTimeout(0)
    return spool.finish()
  } catch (error) {
    request.setTimeout(0)
    await spool.discard()
    if (error instanceof GatewayError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new GatewayError('InternalServerException', 'the gateway has no disk space left for this payload: free some in its spool folder', { cause: error })
    }
    throw validation('payload', 'the payload was cut short or took too long')
  }
}

class Spool {
  readonly #options: Receiving
  readonly #hash = createHash('sha256')
  #held: Buffer[] = []
  #file: FileHandle | undefined
  #bytes = 0
  #quotaBytes = 0

  constructor(options: Receiving) {
    this.#options = options
  }

  async add(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length
    if (this.#bytes > LONGEST_PAYLOAD_BYTES) throw tooLarge()
    this.#hash.update(chunk)
    if (!this.#file && this.#bytes <= IN_MEMORY_BYTES) return void this.#held.push(chunk)
    this.#file ??= await this.#openUnlinked()
    await this.#write([...this.#held, chunk])
    this.#held = []
  }

  finish(): Body {
    const file = this.#file
    const memory = file ? undefined : Buffer.concat(this.#held)
    return {
      sha256: this.#hash.digest('hex'),
      bytes: this.#bytes,
      stream: () => memory ?? Readable.from(chunksOf(file!, this.#bytes)),
      discard: () => this.discard(),
    }
  }

  async discard(): Promise<void> {
    const { quota, accessKeyId, address } = this.#options
    quota.release(accessKeyId, address, this.#quotaBytes)
    this.#quotaBytes = 0
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #write(chunks: Buffer[]): Promise<void> {
    const { quota, accessKeyId, address } = this.#options
    for (const chunk of chunks) {
      quota.take(accessKeyId, address, chunk.length)
      this.#quotaBytes += chunk.length
      await this.#file!.appendFile(chunk)
    }
  }

  /** Without a name, the kernel removes it when the process ends, however it ends. */
  async #openUnlinked(): Promise<FileHandle> {
    const path = join(this.#options.directory, randomBytes(12).toString('hex'))
    const file = await open(path, 'wx+', 0o600)
    await unlink(path)
    return file
  }
}

async function* chunksOf(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  for (let position = 0; position < bytes; ) {
    const buffer = Buffer.allocUnsafe(READ_CHUNK_BYTES)
    const { bytesRead } = await file.read(buffer, 0, READ_CHUNK_BYTES, position)
    if (bytesRead === 0) throw new Error('the spooled payload is shorter than it was')
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function tooLarge(): GatewayError {
  return validation('payload', `a payload has at most ${LONGEST_PAYLOAD_BYTES} bytes`)
}
