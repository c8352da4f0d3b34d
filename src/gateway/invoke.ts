/** Adapter: one InvokeAgentRuntime call, from a verified request to the agent's last byte. */
import type { ServerResponse } from 'node:http'
import { GatewayError, agentFailed } from './errors.ts'
import type { Headers } from './http/headers-in.ts'
import { toAgent, type Forwarded as AgentHeaders } from './proxy/agent-headers.ts'
import { BrokenOff, forward, type Forwarded } from './proxy/forward.ts'
import type { Pools } from './proxy/pools.ts'
import type { Payload } from './proxy/spool.ts'
import type { Caller, Entered, RuntimeTarget, Sessions } from './session-port.ts'
import { NotProven, Refused, type Unproven } from './upstream.ts'

export interface Invocation {
  target: RuntimeTarget
  caller: Caller
  sessionId: string
  requestId: string
  headers: Headers
  body: Payload
  response: ServerResponse
  /** Called when the session's pod takes the call. */
  onEntered(): void
}

/** A pod that refused a connection, or was not proven, is entered again this often: it may just have ended. */
const MOST_ENTRIES = 3
/** For a payload that cannot be sent twice. */
const RETRY_AFTER_MS = 1_000
/** How long a broken connection waits for the news of its session's end. */
const NEWS_MS = 250

/** Resolves when the agent has finished. Throws GatewayError for all that the caller has to be told. */
export async function invoke(invocation: Invocation, sessions: Sessions, pools: Pools, signal: AbortSignal): Promise<Forwarded> {
  const { target, caller, sessionId, headers, body, requestId, response } = invocation
  const { metadata } = target.runtime
  for (let entries = 1; ; entries += 1) {
    const entered = await sessions.enter(target, caller, sessionId, signal)
    if (entered.outcome !== 'entered') throw await notEntered(entered, invocation)
    invocation.onEntered()
    const call = {
      path: '/invocations',
      headers: toAgent(headers, { sessionId, requestId, ...passedOn(target), contentLength: body.announcedBytes }),
      body: body.stream(),
      sessionId,
      requestId,
      logHint: `See the agent's log: kubectl logs -n ${metadata.namespace} -l carrel.dev/runtime=${metadata.name} --tail=50`,
    }
    let refused = false
    try {
      return await forward(pools.of(entered.pod), call, response)
    } catch (error) {
      refused = error instanceof Refused
      if (body.fault) throw body.fault
      if (refused && !body.isRepeatable) throw busy(RETRY_AFTER_MS)
      if (refused && entries < MOST_ENTRIES) continue
      if (error instanceof NotProven) throw unproven(error.why, target, RETRY_AFTER_MS, error)
      throw await brokenOff(error as Error, entered.ended)
    } finally {
      entered.release(refused)
    }
  }
}

function passedOn({ policy }: RuntimeTarget): Pick<AgentHeaders, 'allowed' | 'bearer'> {
  const customJWT = policy.authorizer?.customJWT
  return { allowed: policy.allowedHeaders, bearer: customJWT && { mayPassOn: customJWT.allowedAudience !== undefined } }
}

async function notEntered(entered: Exclude<Entered, { outcome: 'entered' }>, { caller, target }: Invocation): Promise<GatewayError> {
  switch (entered.outcome) {
    case 'failed': {
      const log =
        entered.lastLog.length > 0 && (await caller.mayReadLogs()) ? `\nThe agent's last lines:\n${entered.lastLog.join('\n')}` : ''
      return agentFailed(`The session ended as ${entered.reason}: ${entered.message}${log}`)
    }
    case 'busy':
      return busy(entered.retryAfterMs)
    case 'unproven':
      return unproven(entered.why, target, entered.retryAfterMs)
    case 'unavailable':
      return new GatewayError(
        'ThrottlingException',
        'the Kubernetes API or the activity store is out of reach, so the session cannot be opened now: please retry',
        {
          retryAfterMs: entered.retryAfterMs,
        },
      )
  }
}

function busy(retryAfterMs: number): GatewayError {
  return new GatewayError('RetryableConflictException', 'Session operation in progress, please retry', { retryAfterMs })
}

/** Another pod at the address means that this gateway's view is old, which passes; a meter that is silent does not come back by itself. */
function unproven(why: Unproven, { runtime: { metadata } }: RuntimeTarget, retryAfterMs: number, cause?: Error): GatewayError {
  if (why === 'otherPod') {
    const what = "Nothing was sent: another pod answers at the session's address. The session's own is being looked for, please retry"
    return new GatewayError('RetryableConflictException', what, { retryAfterMs, cause })
  }
  const what = why === 'noMeter' ? 'does not answer' : 'answers what no meter answers'
  return agentFailed(
    `Nothing was sent: the session's pod could not be proven to be its own, because the meter beside the agent ${what}. ` +
      `See its log: kubectl logs -n ${metadata.namespace} -l carrel.dev/runtime=${metadata.name} -c meter --tail=50`,
    cause,
  )
}

async function brokenOff(error: Error, ended: Promise<{ reason: string }>): Promise<Error> {
  if (!(error instanceof BrokenOff) && !(error instanceof Refused)) return error
  const news = await Promise.race([ended, new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), NEWS_MS))])
  const why = news
    ? `the session ended (${news.reason}) before the agent had answered`
    : 'the agent closed the connection before it had answered'
  return agentFailed(`${why}; the next call of this session id opens a new one`, error)
}
