/** Adapter: holds whole bodies, small ones in memory, large ones in an unlinked file. */
import { createHash, randomBytes } from 'node:crypto'
import { open, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { GatewayError, validation } from '../errors.ts'
import type { SpoolQuota } from './quota.ts'

/** Contract 2.1. */
export const LONGEST_PAYLOAD_BYTES = 100_000_000
const IN_MEMORY_BYTES = 256 * 1024
const READ_CHUNK_BYTES = 32 * 1024
/** Buffers that a reader fills in turn. See `chunksOf`. */
const READ_BUFFERS = 16
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** A request's body on its way to an agent. Call `discard` when it is not needed any more. */
export interface Payload {
  /** What came so far. */
  readonly bytes: number
  /** undefined: nobody knows before its end. */
  readonly announcedBytes: number | undefined
  /** Whether `stream` can be called again, and then gives it from the first byte. */
  readonly isRepeatable: boolean
  stream(): Readable | Buffer
  /** Why it could not be read to its end. */
  readonly fault?: GatewayError | undefined
  discard(): Promise<void>
}

/** A body that was received whole. */
export interface Body extends Payload {
  /** Hex. */
  sha256: string
  isRepeatable: true
}

export interface SpoolOptions {
  /** Where files are made; they have no name in it. */
  directory: string
  quota: SpoolQuota
  accessKeyId: string
  address: string
}

/** Takes a body chunk by chunk and hashes it on the way. */
export class Spool {
  readonly #options: SpoolOptions
  readonly #hash = createHash('sha256')
  #held: Buffer[] = []
  #memoryBytes = 0
  #file: FileHandle | undefined
  #bytes = 0
  #quotaBytes = 0

  constructor(options: SpoolOptions) {
    this.#options = options
  }

  /** Throws 400 when the body has become too large. A promise means that the chunk goes to disk: it throws 429 over quota, 500 when the disk fails. */
  add(chunk: Buffer): Promise<void> | undefined {
    this.#bytes += chunk.length
    if (this.#bytes > LONGEST_PAYLOAD_BYTES) throw tooLarge()
    this.#hash.update(chunk)
    if (!this.#file && this.#bytes <= IN_MEMORY_BYTES && this.#options.quota.takeMemory(chunk.length)) {
      this.#memoryBytes += chunk.length
      this.#held.push(chunk)
      return undefined
    }
    return this.#toDisk(chunk)
  }

  finish(): Body {
    const file = this.#file
    const memory = file ? undefined : Buffer.concat(this.#held)
    this.#held = []
    return {
      sha256: this.#hash.digest('hex'),
      bytes: this.#bytes,
      announcedBytes: this.#bytes,
      isRepeatable: true,
      stream: () => memory ?? Readable.from(chunksOf(file!, this.#bytes)),
      discard: () => this.discard(),
    }
  }

  /** Idempotent. */
  async discard(): Promise<void> {
    const { quota, accessKeyId, address } = this.#options
    quota.release(accessKeyId, address, this.#quotaBytes)
    this.#quotaBytes = 0
    this.#releaseMemory()
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #toDisk(chunk: Buffer): Promise<void> {
    const { quota, accessKeyId, address } = this.#options
    try {
      this.#file ??= await this.#openUnlinked()
      for (const each of [...this.#held, chunk]) {
        quota.take(accessKeyId, address, each.length)
        this.#quotaBytes += each.length
        await this.#file.appendFile(each)
        giveBack(each)
      }
    } catch (error) {
      throw error instanceof GatewayError ? error : diskFault(error as NodeJS.ErrnoException)
    }
    this.#releaseMemory()
  }

  #releaseMemory(): void {
    this.#options.quota.releaseMemory(this.#memoryBytes)
    this.#memoryBytes = 0
    this.#held = []
  }

  /** Without a name, the kernel removes it when the process ends, however it ends. */
  async #openUnlinked(): Promise<FileHandle> {
    const path = join(this.#options.directory, randomBytes(12).toString('hex'))
    const file = await open(path, 'wx+', 0o600)
    await unlink(path)
    return file
  }
}

/** Frees the bytes now: waiting for the garbage collector, which hardly sees them, lets tens of megabytes pile up. Nothing may read the chunk any more. */
function giveBack({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/**
 * The file, from its first byte. Buffers are used again, or a hundred megabytes would be garbage before they are collected.
 * That is sound because undici asks for more only while less than a socket's high-water mark (64 KiB: two of these) waits to
 * be written, and a stream reads two ahead: at most six of the sixteen are under way.
 */
async function* chunksOf(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  const buffers: Buffer[] = []
  for (let position = 0, turn = 0; position < bytes; turn = (turn + 1) % READ_BUFFERS) {
    const buffer = (buffers[turn] ??= Buffer.allocUnsafeSlow(READ_CHUNK_BYTES))
    const { bytesRead } = await file.read(buffer, 0, READ_CHUNK_BYTES, position)
    if (bytesRead === 0) throw new Error('the spooled payload is shorter than it was')
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

export function tooLarge(): GatewayError {
  return validation('payload', `a payload has at most ${LONGEST_PAYLOAD_BYTES} bytes`)
}

function diskFault(error: NodeJS.ErrnoException): GatewayError {
  const what = FULL.has(error.code ?? '')
    ? 'the gateway has no disk space left for this payload: free some in its spool folder'
    : 'the gateway cannot write this payload to its spool folder: its log says why'
  return new GatewayError('InternalServerException', what, { cause: error })
}
