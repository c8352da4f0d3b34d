/** Adapter: one kept connection that sends requests as they are, byte by byte, one after the other, and reads just enough of each answer. */
import { connect, type Socket } from 'node:net'

export interface Answered {
  status: number
  bodyBytes: number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')

/** A connection of a load generator. It must be cheap: generator and gateway share the machine. */
export class Exchange {
  readonly #socket: Socket
  #unread: Buffer = Buffer.alloc(0)
  #chunks: Buffer[] = []
  #bytes = 0
  #head: { status: number; headBytes: number; length: number | 'chunked' } | undefined
  #pending: { resolve: (answer: Answered) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#pending?.reject(error))
    socket.on('close', () => this.#pending?.reject(new Error('the connection was closed before the answer was whole')))
  }

  static open(host: string, port: number): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port }, () => {
        socket.off('error', reject)
        resolve(new Exchange(socket))
      })
      socket.once('error', reject)
    })
  }

  send(request: Buffer): Promise<Answered> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection is closed'))
      this.#pending = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#head === undefined) {
      this.#unread = Buffer.concat(this.#chunks)
      this.#chunks = [this.#unread]
      const end = this.#unread.indexOf(HEAD_END)
      if (end < 0) return
      this.#head = headOf(this.#unread.toString('latin1', 0, end), end + HEAD_END.length)
    }
    const { status, headBytes, length } = this.#head
    if (length === 'chunked' ? !this.#endsChunked() : this.#bytes < headBytes + length) return
    const bodyBytes = this.#bytes - headBytes
    this.#chunks = []
    this.#bytes = 0
    this.#head = undefined
    this.#pending?.resolve({ status, bodyBytes })
  }

  /** Payloads of benches are JSON, in which the end of a chunked body never occurs. */
  #endsChunked(): boolean {
    const last = this.#chunks.at(-1)!
    const tail = last.length >= LAST_CHUNK.length ? last : Buffer.concat(this.#chunks.slice(-3))
    return tail.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
  }
}

function headOf(text: string, headBytes: number): { status: number; headBytes: number; length: number | 'chunked' } {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
  return { status, headBytes, length: length === undefined ? 'chunked' : Number(length) }
}
