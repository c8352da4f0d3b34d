/** Adapter: writes refusals, so that their callers see them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type GatewayError, wireForm } from '../errors.ts'

/** A caller that is refused while it sends goes on sending, and reads only then: this much is read and thrown away. */
const LINGER_MS = 30_000
const LINGER_BYTES = 256 * 1024 * 1024

/** Answers with the error. An answer that has begun is broken off instead. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: GatewayError, requestId: string): void {
  if (response.headersSent) return void response.destroy()
  const { headers, body } = wireForm(error, requestId)
  response.writeHead(error.status, { ...headers, 'content-length': Buffer.byteLength(body) })
  response.end(body)
  if (!request.complete) linger(request)
}

/** Closing with unread bytes would reset the connection, and the answer with it. So the rest is read, within bounds. */
function linger(request: IncomingMessage): void {
  const { socket } = request
  let bytes = 0
  const giveUp = setTimeout(() => socket.destroy(), LINGER_MS)
  giveUp.unref()
  const done = (): void => clearTimeout(giveUp)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > LINGER_BYTES) socket.destroy()
  })
  request.once('end', done)
  socket.once('close', done)
  request.resume()
}
