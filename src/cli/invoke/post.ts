/** Adapter: a call of a gateway, and the standard input that is sent with it. */
import { Agent, request } from 'undici'
import type { Posted } from '../env.ts'
import { CommandFailure } from '../failure.ts'

/** A new session may take its whole startTimeoutSeconds (600 s at most) before the first byte of its answer. */
const ANSWER_WITHIN_MS = 630_000
const CONNECT_TIMEOUT_MS = 10_000

/** No redirects: what is signed for this host goes to no other. An answer that streams may be silent for as long as it likes. */
export async function post(url: URL, { headers, body }: { headers: Record<string, string>; body: Uint8Array }): Promise<Posted> {
  const dispatcher = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS }, headersTimeout: ANSWER_WITHIN_MS, bodyTimeout: 0 })
  try {
    const answer = await request(url, { method: 'POST', dispatcher, headers, body })
    const flat = Object.entries(answer.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')])
    return { status: answer.statusCode, headers: Object.fromEntries(flat) as Record<string, string>, body: read(answer.body, dispatcher) }
  } catch (error) {
    await dispatcher.destroy()
    throw noAnswer(url, error)
  }
}

async function* read(body: AsyncIterable<unknown>, dispatcher: Agent): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array
  } catch (error) {
    throw new CommandFailure(`the answer broke off (${(error as Error).message})`, { cause: error })
  } finally {
    await dispatcher.destroy()
  }
}

function noAnswer(url: URL, error: unknown): CommandFailure {
  return new CommandFailure(
    `the gateway at ${url.origin} does not answer (${(error as Error).message}). In a cluster, reach it by: kubectl port-forward -n carrel-system service/carrel-gateway 8700`,
    { cause: error },
  )
}

export async function standardInput(): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of process.stdin) parts.push(chunk as Uint8Array)
  return Buffer.concat(parts)
}
