/**
 * Adapter: the meter's few answers over HTTP/1.1. One answer a connection, bounded in size, time and number, since the agent beside
 * it may ask without end.
 */
import type { Server } from 'node:http'
import { NONCE_HEADER, SEAL_HEADER } from '../access.ts'
import { answerOf, type MeterView } from './answer.ts'
import { createServer } from './http.ts'

const LONGEST_HEADERS_BYTES = 2_048
/** From the connection to the end of the question, and of the answer. */
const WITHIN_MS = 2_000
const LOOK_FOR_SLOW_MS = 500
const MOST_CONNECTIONS = 64

/**
 * Listens on all addresses, IPv6 too where there is one, or on `host` alone.
 *
 * @throws {Error} with its `code` when the port is taken, by the agent perhaps
 */
export async function serveSidecar(view: MeterView, { host, port }: { host: string | undefined; port: number }): Promise<Server> {
  const server = meterServer(view)
  await (host === undefined ? listenEverywhere(server, port) : listen(server, host, port))
  return server
}

function meterServer(view: MeterView): Server {
  const server = createServer(
    {
      maxHeaderSize: LONGEST_HEADERS_BYTES,
      headersTimeout: WITHIN_MS,
      requestTimeout: WITHIN_MS,
      connectionsCheckingInterval: LOOK_FOR_SLOW_MS,
      keepAlive: false,
    },
    (request, response) => {
      const nonce = request.headers[NONCE_HEADER]
      const { status, body, seal } = answerOf(
        {
          method: request.method ?? '',
          target: request.url ?? '',
          authorization: request.headers.authorization,
          nonce: typeof nonce === 'string' ? nonce : undefined,
        },
        view,
      )
      response.writeHead(status, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
        ...(seal === undefined ? {} : { [SEAL_HEADER]: seal }),
      })
      response.end(body)
      // A body says nothing here, and who goes on to send one is not waited for.
      if (!request.complete) response.once('finish', () => request.socket.destroySoon())
    },
  )
  server.maxConnections = MOST_CONNECTIONS
  server.timeout = WITHIN_MS
  return server
}

/** Where the machine has no IPv6, IPv4 alone. */
async function listenEverywhere(server: Server, port: number): Promise<void> {
  try {
    await listen(server, '::', port)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL' && code !== 'EINVAL') throw error
    await listen(server, '0.0.0.0', port)
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: MOST_CONNECTIONS }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
