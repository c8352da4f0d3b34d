/** Adapter: the part of a kubelet's own HTTPS API through which a kube-apiserver reads logs. */
import { createServer, type Server } from 'node:https'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Pod } from '../../../kube/objects.ts'
import type { PodLogFiles } from './pod-logs.ts'

export interface LogServerOptions {
  /** PEM; shown to the API server. */
  certificate: { cert: string; key: string }
  /** PEM of the authority that signed the API server's client certificate: nobody else is answered. */
  clientCa: string
  logs: PodLogFiles
  podNamed: (namespace: string, name: string) => Pod | undefined
}

export interface LogServer {
  port: number
  close(): Promise<void>
}

/** `GET /containerLogs/<namespace>/<pod>/<container>` on 127.0.0.1, for callers with a certificate of `clientCa`. */
export async function serveLogs(options: LogServerOptions): Promise<LogServer> {
  const { certificate, clientCa: ca } = options
  const server = createServer({ ...certificate, ca, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    void answer(request.method ?? '', request.url ?? '', response, options)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) }
}

async function answer(method: string, target: string, response: ServerResponse, { logs, podNamed }: LogServerOptions): Promise<void> {
  const url = new URL(target, 'https://kubelet')
  const [what, namespace, name, container] = url.pathname
    .slice(1)
    .split('/')
    .map((part) => decodeURIComponent(part))
  const pod = what === 'containerLogs' && namespace && name ? podNamed(namespace, name) : undefined
  if (method !== 'GET' || pod === undefined || container === undefined) return void response.writeHead(404).end('no such pod here\n')
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.flushHeaders() // a follower hears at once that it is connected
  try {
    for await (const bytes of logs.read(pod, container, optionsIn(url.searchParams), gone.signal)) response.write(bytes)
    response.end()
  } catch {
    response.destroy()
  }
}

function optionsIn(query: URLSearchParams): Parameters<PodLogFiles['read']>[2] {
  const number = (name: string): Record<string, number> => (query.has(name) ? { [name]: Number(query.get(name)) } : {})
  const flag = (name: string): Record<string, boolean> => (query.get(name) === 'true' ? { [name]: true } : {})
  return {
    ...number('tailLines'),
    ...number('limitBytes'),
    ...number('sinceSeconds'),
    ...flag('follow'),
    ...flag('timestamps'),
    ...flag('previous'),
  }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
