/** Adapter: writes answers to the socket. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ApiAnswer } from '../call.ts'
import type { TableWatch } from './representation.ts'

/** No CORS header, ever: a web page must not be able to read an answer. */
const ALWAYS = { 'cache-control': 'no-cache, private', 'x-content-type-options': 'nosniff' }

export function writeJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, { ...ALWAYS, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
  response.end(text)
}

export function writeText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...ALWAYS, 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/**
 * Writes an answer. A watch and a log go out item by item, the headers before the first one, no faster than the client
 * reads. Resolves when all is written or `gone` has aborted; rejects when the source fails, and then the caller breaks
 * the connection so that the client does not take it for a clean end.
 */
export async function writeAnswer(
  response: ServerResponse,
  answer: ApiAnswer | TableWatch,
  headers: Record<string, string>,
  gone: AbortSignal,
): Promise<void> {
  const all = { ...headers, ...answer.headers }
  if ('watch' in answer) return stream(response, 'application/json', all, lines(answer.watch), gone)
  if ('text' in answer) return stream(response, 'text/plain; charset=utf-8', all, answer.text, gone)
  writeJson(response, answer.status, answer.body, all)
}

async function stream(
  response: ServerResponse,
  type: string,
  headers: Record<string, string>,
  items: AsyncIterable<string | Uint8Array>,
  gone: AbortSignal,
): Promise<void> {
  response.writeHead(200, { ...ALWAYS, 'content-type': type, ...headers })
  response.flushHeaders()
  for await (const item of items) {
    if (gone.aborted) break
    if (!response.write(item)) await once(response, 'drain', { signal: gone }).catch(() => {})
  }
  response.end()
}

async function* lines(events: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`
}
