/** Adapter: `pods/log` over HTTP(S), as it is written. The transport of `src/kube` answers whole bodies only. */
import { Agent, request } from 'undici'
import { ApiError, TransportError } from '../../kube/errors.ts'
import type { ClusterAccess } from '../../kube/http-transport.ts'
import type { PodLogRequest } from '../env.ts'

const CONNECT_TIMEOUT_MS = 10_000
const ANSWER_WITHIN_MS = 30_000

/** A connection of its own, that ends with the reading: a log may go on for hours. */
export async function* readPodLog(access: ClusterAccess, { namespace, pod, query, signal }: PodLogRequest): AsyncGenerator<Uint8Array> {
  const { ca, cert, key } = access
  const dispatcher = new Agent({
    connect: { ca, cert, key, timeout: CONNECT_TIMEOUT_MS },
    allowH2: false,
    headersTimeout: ANSWER_WITHIN_MS,
    bodyTimeout: 0,
  })
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`
  const url = `${access.server.replace(/\/$/, '')}${path}?${new URLSearchParams(query).toString()}`
  const token = access.token?.()
  try {
    const headers = { 'user-agent': 'carrel', ...(token ? { authorization: `Bearer ${token}` } : {}) }
    const answer = await request(url, { dispatcher, headers, signal })
    if (answer.statusCode !== 200) {
      const body = parsed(await answer.body.text())
      throw ApiError.from({ status: answer.statusCode, headers: {}, body }, `read the log of pod ${pod}`)
    }
    for await (const chunk of answer.body) yield chunk as Uint8Array
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof ApiError) throw error
    throw new TransportError(`GET ${path}: ${(error as Error).message}`, { cause: error })
  } finally {
    await dispatcher.destroy()
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
