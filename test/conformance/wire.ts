/** Adapter: one API server over HTTPS, as its users reach it; answers and watches are given as they came. */
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request as open } from 'node:https'
import { createInterface } from 'node:readline'
import type { ClusterAccess } from '../../src/kube/http-transport.ts'

/** What a JSON body holds: any shape, for it is what is being tested. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Loose = any

export interface Sent {
  /** An object goes as JSON, a text as it is. */
  body?: unknown
  /** Default: application/json where there is a body, and for PATCH a merge patch. */
  contentType?: string
  accept?: string
  query?: Record<string, string>
  /** Whose request it is. Default: the administrator's. */
  token?: string
  headers?: Record<string, string>
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** Parsed where it is JSON, or the text. */
  body: Loose
}

export interface WatchEvent {
  type: string
  object: Loose
}

/** A watch that the server has begun. */
export interface OpenedWatch {
  answer: Answer
  /** All that came up to now. */
  events: readonly WatchEvent[]
  /** Resolves when so many events came, or the stream ended; rejects after `withinMs`. */
  take(count: number, withinMs?: number): Promise<readonly WatchEvent[]>
  /** Resolves when the server ended it; rejects after `withinMs`. */
  ended(withinMs?: number): Promise<readonly WatchEvent[]>
  close(): void
}

export interface Wire {
  call(method: string, path: string, sent?: Sent): Promise<Answer>
  /** Resolves with the head of the answer; a refusal has its body. */
  watch(path: string, query?: Record<string, string>, accept?: string, token?: string): Promise<OpenedWatch>
  close(): void
}

const PATIENCE_MS = 30_000

export function wireTo(access: ClusterAccess): Wire {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ...(access.ca ? { ca: access.ca } : {}) })

  async function send(
    method: string,
    path: string,
    { body, contentType, accept, query, token, headers: more }: Sent,
  ): Promise<IncomingMessage> {
    const search = query ? `?${new URLSearchParams(query).toString()}` : ''
    const payload = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    const type = contentType ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    const headers = {
      authorization: `Bearer ${token ?? access.token?.() ?? ''}`,
      accept: accept ?? 'application/json',
      ...more,
      ...(payload ? { 'content-type': type, 'content-length': String(payload.length) } : {}),
    }
    const call = open(`${access.server}${path}${search}`, { method, agent, headers })
    call.end(payload)
    const [answer] = (await once(call, 'response')) as [IncomingMessage]
    return answer
  }

  return {
    async call(method, path, sent = {}) {
      const answer = await send(method, path, sent)
      const late = setTimeout(() => answer.destroy(new Error(`no whole answer within ${PATIENCE_MS} ms: ${method} ${path}`)), PATIENCE_MS)
      return whole(answer).finally(() => clearTimeout(late))
    },
    async watch(path, query = {}, accept = 'application/json', token?: string) {
      const answer = await send('GET', path, { query: { watch: 'true', ...query }, accept, ...(token === undefined ? {} : { token }) })
      return answer.statusCode === 200 ? opened(answer) : refused(await whole(answer))
    },
    close: () => agent.destroy(),
  }
}

async function whole(answer: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString('utf8')
  const isJson = String(answer.headers['content-type']).startsWith('application/json')
  return { status: answer.statusCode!, headers: answer.headers, body: isJson && text !== '' ? (JSON.parse(text) as Loose) : text }
}

function refused(answer: Answer): OpenedWatch {
  return { answer, events: [], take: async () => [], ended: async () => [], close() {} }
}

function opened(answer: IncomingMessage): OpenedWatch {
  const events: WatchEvent[] = []
  const lookers = new Set<() => void>()
  let isOver = false
  const over = (): void => {
    isOver = true
    for (const look of lookers) look()
  }
  answer.on('error', over)
  answer.on('close', over)
  const lines = createInterface({ input: answer })
  lines.on('line', (line) => {
    events.push(JSON.parse(line) as WatchEvent)
    for (const look of lookers) look()
  })
  lines.on('close', over)

  function until(isSo: () => boolean, what: string, withinMs: number): Promise<readonly WatchEvent[]> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        lookers.delete(look)
        reject(new Error(`not within ${withinMs} ms: ${what}; it has ${JSON.stringify(events)}`))
      }, withinMs)
      const look = (): void => {
        if (!isSo()) return
        clearTimeout(late)
        lookers.delete(look)
        resolve(events)
      }
      lookers.add(look)
      look()
    })
  }

  return {
    answer: { status: 200, headers: answer.headers, body: undefined },
    events,
    take: (count, withinMs = PATIENCE_MS) => until(() => isOver || events.length >= count, `${count} events`, withinMs),
    ended: (withinMs = PATIENCE_MS) => until(() => isOver, 'the end of the watch', withinMs),
    close: () => answer.destroy(),
  }
}
