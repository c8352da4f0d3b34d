/** Adapter: writes refusals, so that their callers see them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type GatewayError, wireForm } from '../errors.ts'

/** A caller that is refused while it sends goes on sending, and reads only then: this much is read and thrown away. */
const LINGER_MS = 30_000
const LINGER_BYTES = 256 * 1024 * 1024

/** Answers with the error. An answer that has begun is broken off instead; after a request that was not read whole, the connection ends. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: GatewayError, requestId: string): void {
  if (response.headersSent) return void response.destroy()
  const { headers, body } = wireForm(error, requestId)
  const head = { ...headers, 'content-length': Buffer.byteLength(body) }
  if (request.complete) {
    response.writeHead(error.status, head)
    return void response.end(body)
  }
  // Not ended by `end`, after which Node would close at once: closing with unread bytes resets the connection, and the answer with it.
  response.writeHead(error.status, { ...head, connection: 'close' })
  response.write(body)
  const { socket } = request
  if (response.socket) socket.end()
  request.on('data', lingerOn(socket))
  request.once('end', () => socket.destroy())
  request.resume()
}

/** Answers what is no HTTP request, on the bare connection. */
export function refuseRaw(socket: Socket, error: GatewayError, requestId: string): void {
  const { headers, body } = wireForm(error, requestId)
  const head = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${error.status} ${error.type}\r\n${lines.join('')}\r\n${body}`)
  socket.on('data', lingerOn(socket))
  socket.once('end', () => socket.destroy())
  socket.resume()
}

/** Ends the connection after LINGER_MS; the listener counts what is thrown away, and ends it after LINGER_BYTES. */
function lingerOn(socket: Socket): (chunk: Buffer) => void {
  const giveUp = setTimeout(() => socket.destroy(), LINGER_MS)
  giveUp.unref()
  socket.once('close', () => clearTimeout(giveUp))
  let bytes = 0
  return (chunk) => {
    bytes += chunk.length
    if (bytes > LINGER_BYTES) socket.destroy()
  }
}
