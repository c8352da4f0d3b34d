import { ApiError } from '../../kube/errors.ts'
import type { Transport, WatchEvent, WatchRequest } from '../../kube/transport.ts'
import type { ApiAnswer, ApiCall, Identity } from './call.ts'

interface ApiHandler {
  handle(call: ApiCall): Promise<ApiAnswer>
}

/** The transport port straight into the API server's function. What crosses is copied, as it would be on a wire. */
export function inProcessTransport(api: ApiHandler, identity: Identity): Transport {
  async function* watch({ path, query, signal }: WatchRequest): AsyncGenerator<WatchEvent> {
    const search = new URLSearchParams({ ...query, watch: 'true' })
    const answer = await api.handle({ identity, method: 'GET', path, query: search, ...(signal ? { signal } : {}) })
    if (!('watch' in answer))
      throw ApiError.from(
        { status: answer.status, headers: answer.headers ?? {}, body: 'body' in answer ? answer.body : '' },
        `watch ${path}`,
      )
    for await (const event of answer.watch) yield structuredClone(event)
  }

  return {
    async request({ method, path, query = {}, body, contentType = 'application/json', signal }) {
      const answer = await api.handle({
        identity,
        method,
        path,
        query: new URLSearchParams(query),
        contentType,
        ...(body === undefined ? {} : { body: JSON.parse(JSON.stringify(body)) as unknown }),
        ...(signal ? { signal } : {}),
      })
      if ('text' in answer) return { status: 200, headers: {}, body: await textOf(answer.text) }
      if ('watch' in answer) throw new Error('a watch was asked for as a request')
      return { status: answer.status, headers: answer.headers ?? {}, body: structuredClone(answer.body) }
    },
    watch,
  }
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts).toString('utf8')
}
