/** Adapter: reads request bodies from the socket. Only types that no web page can send without asking first (security row 5). */
import type { IncomingMessage } from 'node:http'
import { parse as parseYaml } from 'yaml'
import { Refusal, badRequest } from '../statuses.ts'
import { parseMediaType } from './media-types.ts'
import { decodeProtobuf } from './protobuf.ts'

/** The real server's own limit. */
const LIMIT_BYTES = 3 * 1024 * 1024
/** How much of a refused body is read so that its sender gets to see the answer. */
const LINGER_BYTES = 16 * 1024 * 1024

const YAML_TYPES = ['application/yaml', 'application/apply-patch+yaml']
const JSON_TYPES = [
  'application/json',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]

const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'

const KNOWN_TYPES = [...JSON_TYPES, ...YAML_TYPES, PROTOBUF_TYPE]

export type ReadBody = { contentType?: string; body?: unknown } | { refused: Refusal }

/** The parsed body, and the type under which the API is to take it; neither type nor body where nothing was sent. */
export async function readBody(request: IncomingMessage): Promise<ReadBody> {
  const hasBody = Number(request.headers['content-length'] ?? 0) > 0 || request.headers['transfer-encoding'] !== undefined
  if (!hasBody) return {}
  const { type } = parseMediaType(request.headers['content-type'] ?? '')
  if (!KNOWN_TYPES.includes(type)) return lingering(request, unsupported(type))
  if (request.headers['content-encoding'] !== undefined) return lingering(request, unsupported(`${type}, compressed`))
  const bytes = await readAll(request)
  if (bytes === undefined) return lingering(request, tooLarge())
  return parsed(bytes, type)
}

/** After these the connection is not used again: part of a body may still be on it. */
const CLOSING = { connection: 'close' }

function tooLarge(): Refusal {
  return new Refusal(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${LIMIT_BYTES}`, undefined, CLOSING)
}

function unsupported(type: string): Refusal {
  const said = type === '' ? 'no Content-Type' : type
  const message = `the body of the request was in an unknown format - accepted media types include: ${KNOWN_TYPES.join(', ')}; got ${said}`
  return new Refusal(415, 'UnsupportedMediaType', message, undefined, CLOSING)
}

async function readAll(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > LIMIT_BYTES) return undefined
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > LIMIT_BYTES) resolve(undefined)
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the client went away in the middle of its request')))
  })
}

function parsed(bytes: Buffer, type: string): ReadBody {
  try {
    if (type === PROTOBUF_TYPE) return { contentType: 'application/json', body: decodeProtobuf(bytes) }
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (text === '') return { contentType: type }
    return { contentType: type, body: YAML_TYPES.includes(type) ? (parseYaml(text) as unknown) : (JSON.parse(text) as unknown) }
  } catch (error) {
    return { refused: badRequest(`the object provided is unrecognized (${type}): ${(error as Error).message}`) }
  }
}

/**
 * Reads the rest, to nowhere, before the refusal is answered: a sender in the middle of its body looks for an answer only
 * after it. The server's own request deadline bounds the time.
 */
function lingering(request: IncomingMessage, refused: Refusal): Promise<ReadBody> {
  let leftBytes = LINGER_BYTES
  return new Promise((resolve) => {
    const done = (): void => resolve({ refused })
    request.removeAllListeners('data')
    request.on('data', (chunk: Buffer) => {
      leftBytes -= chunk.length
      if (leftBytes < 0) done()
    })
    for (const end of ['end', 'error', 'close']) request.on(end, done)
    if (request.readableEnded) done()
  })
}
