/** Adapter: the meter's pull interface over HTTP, for all pods of this node. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isMeterKey } from '../../../metering/access.ts'
import { misdirection } from '../../api/http/guard.ts'
import type { PodMeter } from './pod-meter.ts'

const REQUEST_WITHIN_MS = 5_000
const LONGEST_HEADERS_BYTES = 4_096

export interface MeterServer {
  /** `http://127.0.0.1:PORT` */
  url: string
  close(): Promise<void>
}

/**
 * On 127.0.0.1: `GET /usage/<podUID>` answers the pod's UsageReport; `DELETE` says that its final report was written down, so
 * that it is forgotten (204; 409 while the pod lives). The bearer is the pod's meter key, and 401 without it says nothing of
 * which pods there are. 404: no such report.
 */
export async function serveMeter(meter: PodMeter, secret: string): Promise<MeterServer> {
  const server = createServer({ maxHeaderSize: LONGEST_HEADERS_BYTES, requestTimeout: REQUEST_WITHIN_MS }, (request, response) => {
    request.resume() // a body says nothing here
    const port = request.socket.localPort ?? 0
    answer(request, port, meter, secret).then(
      ({ status, body }) => send(response, status, body),
      () => send(response, 500, { message: 'the report could not be removed: see the log of the installation' }),
    )
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Answer {
  status: number
  body?: object
}

async function answer(request: IncomingMessage, port: number, meter: PodMeter, secret: string): Promise<Answer> {
  const { method, url = '', rawHeaders, headers } = request
  const misdirected = misdirection(url, rawHeaders, port)
  if (misdirected) return { status: 403, body: { message: misdirected.message } }
  const podUID = /^\/usage\/([\w-]{1,64})$/.exec(url)?.[1]
  const key = /^Bearer (\S{1,128})$/i.exec(headers.authorization ?? '')?.[1]
  if (podUID === undefined) return { status: 404, body: { message: 'ask for /usage/<pod UID>' } }
  if (key === undefined || !isMeterKey(key, secret, podUID))
    return { status: 401, body: { message: "the bearer must be the pod's meter key" } }
  if (method === 'GET') {
    const report = meter.report(podUID)
    return report ? { status: 200, body: report } : { status: 404, body: { message: 'no report of this pod is here' } }
  }
  if (method !== 'DELETE') return { status: 405, body: { message: 'GET reads the report, DELETE acknowledges it' } }
  switch (await meter.acknowledge(podUID)) {
    case 'forgotten':
      return { status: 204 }
    case 'unknown':
      return { status: 404, body: { message: 'no report of this pod is here' } }
    case 'live':
      return { status: 409, body: { message: 'the pod lives: only a final report is acknowledged' } }
  }
}

function send(response: ServerResponse, status: number, body: object | undefined): void {
  response.writeHead(status, { ...(body ? { 'content-type': 'application/json' } : {}), 'cache-control': 'no-store' })
  response.end(body ? JSON.stringify(body) : undefined)
}
