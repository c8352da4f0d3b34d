/** Adapter: asks a gateway, with a bearer token of the cluster. */
import { request } from 'undici'
import { CommandFailure } from './failure.ts'

const TIMEOUT_MS = 5_000
const LONGEST_ANSWER_BYTES = 64 * 1024 * 1024

/** GET, no redirects followed: the token goes to this host and to no other. */
export async function fetchJson(url: string, token: string): Promise<unknown> {
  let status: number
  let text: string
  try {
    const answer = await request(url, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    status = answer.statusCode
    if (Number(answer.headers['content-length'] ?? 0) > LONGEST_ANSWER_BYTES) throw new Error('its answer is too long')
    text = await answer.body.text()
  } catch (error) {
    throw new CommandFailure(`does not answer (${(error as Error).message})`, { cause: error })
  }
  if (status === 404) throw new CommandFailure('answers 404: it is no gateway of Carrel, or an older one')
  if (status !== 200) throw new CommandFailure(`answers ${status}${messageIn(text)}`)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandFailure('answers something else than JSON: it is no gateway of Carrel', { cause: error })
  }
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? `: ${message}` : ''
  } catch {
    return ''
  }
}
