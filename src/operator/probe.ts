/** Adapter: pings agents over HTTP. */
import { Agent, request } from 'undici'
import type { Ping, Probe } from './env.ts'

const PING_TIMEOUT_MS = 1_000
const LONGEST_BODY_BYTES = 4_096

/** Close it when the process ends. */
export function httpProbe(): Probe & { close(): Promise<void> } {
  const agent = new Agent({
    connect: { timeout: PING_TIMEOUT_MS },
    keepAliveTimeout: 1_000,
    connections: 1,
    maxResponseSize: LONGEST_BODY_BYTES,
  })
  return {
    async ping(address, port) {
      try {
        const response = await request(`http://${address}:${port}/ping`, {
          dispatcher: agent,
          signal: AbortSignal.timeout(PING_TIMEOUT_MS),
        })
        const body = await response.body.text()
        return response.statusCode === 200 ? readStatus(body) : { answer: 'wrong', message: `GET /ping answered ${response.statusCode}` }
      } catch (error) {
        return failure(error as Error & { code?: string })
      }
    },
    close: () => agent.destroy(),
  }
}

function readStatus(body: string): Ping {
  try {
    const { status } = JSON.parse(body) as { status?: unknown }
    if (status === 'Healthy' || status === 'HealthyBusy') return { answer: status }
    return { answer: 'wrong', message: `GET /ping answered status ${JSON.stringify(status)}; Healthy or HealthyBusy is expected` }
  } catch {
    return { answer: 'wrong', message: 'GET /ping answered a body that is not JSON' }
  }
}

function failure(error: Error & { code?: string }): Ping {
  if (error.name === 'TimeoutError' || error.code === 'UND_ERR_CONNECT_TIMEOUT') return { answer: 'timeout' }
  if (error.code === 'ECONNREFUSED' || error.code === 'EHOSTUNREACH') return { answer: 'refused' }
  return { answer: 'wrong', message: `GET /ping broke: ${error.message}` }
}
