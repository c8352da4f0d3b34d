/** Adapter: the operator's metrics over HTTP, for who may `get` the path /metrics. */
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { TOKEN_AUDIENCE } from '../crds/system.ts'
import type { Log } from '../env/log.ts'
import { reviewAccess, reviewToken, tokenIssuer } from '../kube/reviews.ts'
import type { Transport } from '../kube/transport.ts'

/** A scraper asks a few times a minute; a flood must not become one of reviews. */
const MOST_AT_ONCE = 4

export interface MetricsServerOptions {
  host: string
  /** 0: any free one. */
  port: number
  kubernetes: Transport
  log: Log
  exposition: () => Promise<{ contentType: string; text: string }>
  isReady: () => boolean
}

/** `GET /metrics` with a service-account token, by TokenReview and SubjectAccessReview; `/healthz` and `/readyz` for everybody. */
export async function serveMetrics(options: MetricsServerOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port, kubernetes, log, exposition, isReady } = options
  const server = fastify({ forceCloseConnections: true, requestTimeout: 10_000 })
  let underWay = 0

  server.get('/healthz', () => 'ok\n')
  server.get('/readyz', (_request, reply) => reply.code(isReady() ? 200 : 503).send(isReady() ? 'ok\n' : 'starting\n'))
  server.get('/metrics', async (request, reply) => {
    if (underWay >= MOST_AT_ONCE) return refuse(reply, 429, 'too many ask at once')
    underWay += 1
    try {
      const refusal = await refusalOf(request, kubernetes)
      if (refusal) return refuse(reply, refusal.status, refusal.message)
      const { contentType, text } = await exposition()
      return reply.header('cache-control', 'no-store').type(contentType).send(text)
    } catch (error) {
      log.warn({ err: error }, 'metrics could not be told')
      return refuse(reply, 503, 'the Kubernetes API cannot say who asks')
    } finally {
      underWay -= 1
    }
  })
  await server.listen({ host, port })
  return { port: (server.server.address() as { port: number }).port, close: () => server.close() }
}

async function refusalOf({ headers }: FastifyRequest, kubernetes: Transport): Promise<{ status: number; message: string } | undefined> {
  const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (token === undefined) return { status: 401, message: 'send a service-account token of the cluster (Authorization: Bearer …)' }
  const issuer = await tokenIssuer(kubernetes)
  const user = await reviewToken(kubernetes, token, [TOKEN_AUDIENCE, ...(issuer ? [issuer] : [])])
  if (user === undefined) return { status: 401, message: 'the cluster does not know this token, or it has expired' }
  if (await reviewAccess(kubernetes, user, { path: '/metrics', verb: 'get' })) return undefined
  return { status: 403, message: `${user.name} may not get /metrics: bind it to a ClusterRole with that nonResourceURL` }
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  if (status === 401) void reply.header('www-authenticate', 'Bearer')
  return reply.code(status).send({ message })
}
