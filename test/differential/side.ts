/** Adapter: one API server to play on, over HTTPS: requests by Carrel's transport, watches by a client that knows when they are open. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request as open } from 'node:https'
import { createInterface } from 'node:readline'
import type { Status } from '../../src/kube/objects.ts'
import { httpTransport, type ClusterAccess } from '../../src/kube/http-transport.ts'
import type { ApiRequest, ApiResponse, WatchEvent, WatchRequest } from '../../src/kube/transport.ts'

export interface Side {
  name: string
  request(request: ApiRequest): Promise<ApiResponse>
  /** Resolves when the server has begun it, and so has chosen what it starts with. */
  watch(request: WatchRequest): Promise<OpenedWatch | { refused: { status: number; body: unknown } }>
  close(): Promise<void>
}

/** A watch that is read as it comes. */
export interface OpenedWatch {
  events: readonly WatchEvent[]
  /** Resolves to whether such an event came before the stream's end. */
  until(isLast: (event: WatchEvent) => boolean, withinMs: number): Promise<boolean>
  end(): void
}

export function sideAt(name: string, access: ClusterAccess): Side {
  const transport = httpTransport(access)
  const agent = new Agent({ keepAlive: true, ...(access.ca ? { ca: access.ca } : {}) })

  async function watch({ path, query = {} }: WatchRequest): ReturnType<Side['watch']> {
    const url = `${access.server}${path}?${new URLSearchParams(query).toString()}`
    const call = open(url, { agent, headers: { authorization: `Bearer ${access.token?.() ?? ''}`, accept: 'application/json' } })
    call.end()
    const [answer] = (await once(call, 'response')) as [IncomingMessage]
    if (answer.statusCode === 200) return openedWatch(answer)
    const parts: Buffer[] = []
    for await (const part of answer) parts.push(part as Buffer)
    return { refused: { status: answer.statusCode!, body: JSON.parse(Buffer.concat(parts).toString()) as Status } }
  }

  return {
    name,
    request: (request) => transport.request(request),
    watch,
    close: async () => {
      agent.destroy()
      await transport.close()
    },
  }
}

function openedWatch(answer: IncomingMessage): OpenedWatch {
  const events: WatchEvent[] = []
  let look = (): void => {}
  let hasEnded = false
  const ended = (): void => {
    hasEnded = true
    look()
  }
  answer.on('error', ended)
  answer.on('close', ended)
  const lines = createInterface({ input: answer })
  lines.on('line', (line) => {
    events.push(JSON.parse(line) as WatchEvent)
    look()
  })
  lines.on('close', ended)

  return {
    events,
    until: (isLast, withinMs) =>
      new Promise((resolve) => {
        const late = setTimeout(() => settle(false), withinMs)
        const settle = (came: boolean): void => {
          clearTimeout(late)
          look = () => {}
          resolve(came)
        }
        look = () => {
          if (events.some(isLast)) settle(true)
          else if (hasEnded) settle(false)
        }
        look()
      }),
    end: () => answer.destroy(),
  }
}
