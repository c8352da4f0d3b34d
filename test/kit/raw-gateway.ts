import { createHash, randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { Sha256 } from '@aws-crypto/sha256-js'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  region: string
  service?: string
}

export interface RawRequest {
  method?: string
  /** As on the wire. */
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: string | Buffer
  keys?: Partial<Keys>
  signingDate?: Date
}

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

export const SESSION_HEADER = 'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id'

export const newSessionId = (): string => `test-session-${randomUUID()}`

export function invocationPath(arn: string, operation = 'invocations'): string {
  return `/runtimes/${encodeURIComponent(arn)}/${operation}`
}

/** Requests signed by AWS' own signer and written to a socket byte by byte, so that tests can send what no SDK would. */
export class RawGateway {
  readonly url: URL
  readonly #keys: Keys
  readonly #sockets = new Set<Socket>()

  constructor(url: string, keys: Keys) {
    this.url = new URL(url)
    this.#keys = keys
  }

  /** The headers of a signed request. */
  async sign(request: RawRequest): Promise<Record<string, string>> {
    const { service = 'bedrock-agentcore', region, ...credentials } = { ...this.#keys, ...request.keys }
    const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 })
    const { hostname, port, host } = this.url
    const signed = await signer.sign(
      new HttpRequest({
        method: request.method ?? 'POST',
        protocol: 'http:',
        hostname,
        port: Number(port),
        path: request.path,
        query: request.query ?? {},
        headers: { host, ...request.headers },
        body: request.body ?? '',
      }),
      request.signingDate ? { signingDate: request.signingDate } : {},
    )
    return signed.headers
  }

  async send(
    request: RawRequest,
    change: { headers?: Record<string, string | undefined>; body?: string | Buffer; path?: string } = {},
  ): Promise<RawAnswer> {
    const headers = Object.fromEntries(
      Object.entries({ ...(await this.sign(request)), ...change.headers }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    )
    const query = new URLSearchParams(request.query).toString()
    const target = (change.path ?? request.path) + (query ? `?${query}` : '')
    return this.exchange(request.method ?? 'POST', target, headers, change.body ?? request.body ?? '')
  }

  /** A JSON order to the agent of a session. */
  async invoke(arn: string, sessionId: string, order: object, headers: Record<string, string> = {}): Promise<RawAnswer> {
    return this.send({
      path: invocationPath(arn),
      headers: { 'content-type': 'application/json', [SESSION_HEADER]: sessionId, ...headers },
      body: JSON.stringify(order),
    })
  }

  /** The parsed answer of a call that must succeed. */
  async ask<Answer>(arn: string, sessionId: string, order: object): Promise<Answer> {
    const answer = await this.invoke(arn, sessionId, order)
    if (answer.status !== 200) throw new Error(`${JSON.stringify(order)}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body) as Answer
  }

  async stop(arn: string, sessionId: string, clientToken?: string): Promise<RawAnswer> {
    const body = clientToken === undefined ? '' : JSON.stringify({ clientToken })
    return this.send({
      path: invocationPath(arn, 'stopruntimesession'),
      headers: { [SESSION_HEADER]: sessionId, 'content-type': 'application/json' },
      body,
    })
  }

  /** Writes exactly these bytes on a new connection and reads until the answer is whole. */
  async exchange(method: string, target: string, headers: Record<string, string>, body: string | Buffer): Promise<RawAnswer> {
    const length = Buffer.byteLength(body)
    const framed =
      'transfer-encoding' in headers || 'content-length' in headers ? headers : { ...headers, 'content-length': String(length) }
    const head = `${method} ${target} HTTP/1.1\r\n${Object.entries(framed)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}connection: close\r\n\r\n`
    const socket = this.open()
    socket.write(head, 'latin1')
    socket.write(body)
    return parseAnswer(await readAll(socket))
  }

  open(): Socket {
    const socket = connect(Number(this.url.port), this.url.hostname)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('error', (error) => (chunks.length > 0 ? resolve(Buffer.concat(chunks)) : reject(error)))
    socket.once('close', () => resolve(Buffer.concat(chunks)))
  })
}

export function parseAnswer(bytes: Buffer): RawAnswer {
  const text = bytes.toString('latin1')
  const [head, ...rest] = text.split('\r\n\r\n')
  const [statusLine, ...lines] = head!.split('\r\n')
  if (!statusLine?.startsWith('HTTP/1.1 ')) throw new Error(`no HTTP answer but ${JSON.stringify(text.slice(0, 200))}`)
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const body = rest.join('\r\n\r\n')
  const whole = headers['transfer-encoding'] === 'chunked' ? unchunked(body) : body
  return { status: Number(statusLine.split(' ')[1]), headers, body: Buffer.from(whole, 'latin1').toString('utf8') }
}

function unchunked(text: string): string {
  let out = ''
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (end < 0 || Number.isNaN(size)) throw new Error('the chunked answer was cut off')
    if (size === 0) return out
    out += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}

export const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex')
