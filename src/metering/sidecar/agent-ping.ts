/** Adapter: one `GET /ping` of the agent at 127.0.0.1, bounded in time and bytes, without redirects (contract 1.3). */
import type { IncomingMessage } from 'node:http'
import type { AgentAnswer } from './agent-watch.ts'
import { request } from './http.ts'

const ANSWER_WITHIN_MS = 1_000
const LONGEST_BODY_BYTES = 4_096
const LONGEST_HEADERS_BYTES = 4_096

/** Never rejects. */
export function pingAgent(port: number): Promise<AgentAnswer> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path: '/ping', agent: false, maxHeaderSize: LONGEST_HEADERS_BYTES })
    const settle = (answer: AgentAnswer): void => {
      clearTimeout(timer)
      resolve(answer)
      asked.destroy()
    }
    const timer = setTimeout(() => settle({ status: 'Unreachable', message: 'GET /ping was not answered in time' }), ANSWER_WITHIN_MS)
    asked.on('error', (error: NodeJS.ErrnoException) => settle(failure(error, port)))
    asked.on('response', (response) => readBody(response, settle))
    asked.end()
  })
}

function readBody(response: IncomingMessage, settle: (answer: AgentAnswer) => void): void {
  if (response.statusCode !== 200) return settle(wrong(`GET /ping answered ${response.statusCode}`))
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (piece: string) => {
    text += piece
    if (Buffer.byteLength(text) > LONGEST_BODY_BYTES) settle(wrong(`GET /ping answered more than ${LONGEST_BODY_BYTES} bytes`))
  })
  response.on('end', () => settle(statusIn(text)))
  response.on('error', (error) => settle(wrong(`GET /ping broke: ${error.message}`)))
}

function statusIn(text: string): AgentAnswer {
  try {
    const { status } = JSON.parse(text) as { status?: unknown }
    if (status === 'Healthy' || status === 'HealthyBusy') return { status }
    return wrong('GET /ping answered another status than Healthy or HealthyBusy')
  } catch {
    return wrong('GET /ping answered a body that is no JSON object')
  }
}

function failure({ code, message }: NodeJS.ErrnoException, port: number): AgentAnswer {
  if (code === 'ECONNREFUSED') return { status: 'Unreachable', message: `nothing listens on port ${port}` }
  return wrong(`GET /ping broke: ${message}`)
}

function wrong(message: string): AgentAnswer {
  return { status: 'Wrong', message }
}
