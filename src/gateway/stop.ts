import { notFound, validation } from './errors.ts'
import { SESSION_HEADER } from './http/headers-in.ts'
import type { Payload } from './proxy/spool.ts'
import type { Caller, RuntimeTarget, Sessions } from './session-port.ts'

const LONGEST_BODY_BYTES = 16_384

/** StopRuntimeSession (contract 2.2). Resolves with the session's id once the stop is stored; throws 404 when there is nothing to stop. */
export async function stop(
  target: RuntimeTarget,
  caller: Caller,
  sessionId: string | undefined,
  body: Payload,
  sessions: Sessions,
): Promise<string> {
  if (sessionId === undefined) throw validation('runtimeSessionId', `name the session to stop in the header ${SESSION_HEADER}`)
  const stopped = await sessions.stop(target, caller, sessionId, await clientTokenOf(body))
  if (stopped === 'unknown') throw notFound(`there is no live session ${sessionId} of yours on ${target.runtimeId}`)
  return sessionId
}

async function clientTokenOf(body: Payload): Promise<string | undefined> {
  if (body.bytes === 0) return undefined
  if (body.bytes > LONGEST_BODY_BYTES) throw validation('clientToken', 'the body of a stop is a small JSON object')
  const content = body.stream()
  const bytes = Buffer.isBuffer(content) ? content : Buffer.concat(await content.toArray())
  try {
    const { clientToken } = JSON.parse(bytes.toString('utf8')) as { clientToken?: unknown }
    if (clientToken === undefined || (typeof clientToken === 'string' && clientToken.length <= 256)) return clientToken
  } catch {
    // said below
  }
  throw validation('clientToken', 'the body of a stop is JSON, {"clientToken": "…"} or empty')
}
