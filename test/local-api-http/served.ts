import { once } from 'node:events'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import type { Env } from '../../src/env/env.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import type { PodLogs } from '../../src/local/api/call.ts'
import type { AuditEvent } from '../../src/local/api/audit/audit.ts'
import { loopbackCertificate } from '../../src/local/api/http/certificate.ts'
import { serveApi } from '../../src/local/api/http/server.ts'
import type { ApiServer } from '../../src/local/api/http/server.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'

export const TOKEN = 'admin-token-of-the-test'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
export const env: Env = { clock: systemClock, random: systemRandom, log: quiet }

const certificate = loopbackCertificate(Date.now())

export interface Served {
  api: EmbeddedApi
  server: ApiServer
  ca: string
  audit: AuditEvent[]
  notReady: { because: string | undefined }
  /** One HTTPS request with the admin's token. */
  send(method: string, path: string, options?: Sent): Promise<Answer>
  /** Bytes as they are; answers when the server has closed or, with `until`, when that text was seen. */
  raw(text: string, until?: string): Promise<string>
}

interface Sent {
  body?: unknown
  headers?: Record<string, string>
  token?: string | undefined
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
  json: any
}

const NO_LOGS: PodLogs = { async *read() {} }

/** The real API behind the real server, on a free port, in memory. */
export async function serve(t: TestContext, options: { logs?: PodLogs } = {}): Promise<Served> {
  const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: options.logs ?? NO_LOGS })
  await api.start()
  const audit: AuditEvent[] = []
  const notReady: Served['notReady'] = { because: undefined }
  const server = await serveApi(env, {
    api,
    kinds: api.kinds,
    host: '127.0.0.1',
    port: 0,
    certificate,
    tokens: new Map([
      [TOKEN, IDENTITIES.admin],
      ['gateway-token-of-the-test', IDENTITIES.gateway],
    ]),
    audit: { write: (event) => void audit.push(event) },
    notReady: () => notReady.because,
  })
  t.after(async () => {
    await server.close()
    api.close()
  })
  return {
    api,
    server,
    ca: certificate.cert,
    audit,
    notReady,
    send: (method, path, sent = {}) => send(server, method, path, sent),
    raw: (text, until) => raw(server, text, until),
  }
}

/** Opens a request and answers with its head; the caller reads the rest. */
export async function open(
  server: ApiServer,
  method: string,
  path: string,
  { body, headers = {}, token = TOKEN }: Sent = {},
): Promise<IncomingMessage> {
  const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }
  const size =
    payload === undefined || headers['transfer-encoding'] !== undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }
  const type = payload === undefined ? {} : { 'content-type': 'application/json', ...size }
  const call = request(`${server.url}${path}`, {
    method,
    ca: certificate.cert,
    agent: false,
    headers: { ...authorization, ...type, ...headers },
  })
  call.end(payload)
  const [answer] = (await once(call, 'response')) as [IncomingMessage]
  return answer
}

async function send(server: ApiServer, method: string, path: string, sent: Sent): Promise<Answer> {
  const answer = await open(server, method, path, sent)
  const text = await readAll(answer)
  const isJson = String(answer.headers['content-type']).startsWith('application/json')
  return { status: answer.statusCode!, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined }
}

export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function raw(server: ApiServer, text: string, until?: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: server.port, ca: certificate.cert })
  await once(socket, 'secureConnect')
  socket.write(text)
  let seen = ''
  for await (const chunk of socket) {
    seen += String(chunk)
    if (until !== undefined && seen.includes(until)) break
  }
  socket.destroy()
  return seen
}

/** Waits until the condition holds; fails after a generous while, saying for what it waited. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`waited 20 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
