import type { AgentSession, SessionUsage } from '../../crds/agent-session.ts'
import type { UsageReport } from '../../metering/report.ts'
import type { SessionTools } from '../session/step.ts'
import { finalOf, laterOf, unmeasured, unmeasuredSince, usageOf } from './session-usage.ts'

const LOOK_AGAIN_MS = 200
/** A meter that does not answer, or is not done with the pod, holds the end of the session up for so long at most. */
const LONGEST_MS = 10_000

export type FinalUsage =
  /** Undefined: there is nothing to say. */
  { usage: SessionUsage | undefined } | { againAfterMs: number }

/**
 * The usage of the incarnation that the status names, whose pod is gone: the meter's final word, or after a while the last that
 * is known, marked with the time that is missing. What is lost is told by an event.
 */
export async function finalUsage(session: AgentSession, podUID: string | undefined, tools: SessionTools): Promise<FinalUsage> {
  const { env, readings } = tools
  const held = session.status?.usage
  const incarnation = session.status?.incarnation
  if (podUID === undefined || incarnation === undefined || isFinal(held, incarnation)) return { usage: held }
  readings.rest(podUID)
  const answer = await read(podUID, tools)
  if (answer === 'unmetered') return { usage: lastKnown(session, podUID, incarnation, tools) }
  if (answer === 'unknown') {
    const usage = lastKnown(session, podUID, incarnation, tools)
    if (usage || session.status?.endReason === 'StartFailed') return { usage } // of a pod that never ran there is nothing to know
    return lost(session, incarnation, `the meter knows nothing of pod ${session.status?.podName}`, tools)
  }
  const last = 'failed' in answer ? undefined : usageOf({ report: answer, atMs: env.clock.now() }, incarnation)
  if (last?.final) return { usage: finalOf(held, last) }
  if (readings.finalTriedMs(podUID) < LONGEST_MS) return { againAfterMs: LOOK_AGAIN_MS }
  const why =
    'failed' in answer ? `the meter of pod ${session.status?.podName} did not answer (${answer.failed})` : 'its meter gave no final report'
  const usage = last ? unmeasuredSince(laterOf(held, last), env.clock.now()) : lastKnown(session, podUID, incarnation, tools)
  return usage ? told(session, usage, why, tools) : lost(session, incarnation, why, tools)
}

function isFinal(held: SessionUsage | undefined, incarnation: number): boolean {
  return held?.incarnation === incarnation && held.final
}

async function read(podUID: string, { env }: SessionTools): Promise<UsageReport | 'unknown' | 'unmetered' | { failed: string }> {
  try {
    return await env.meters.read(podUID, undefined)
  } catch (error) {
    env.log.debug({ podUID, err: error }, 'the final usage was not read')
    return { failed: error instanceof Error ? error.message : String(error) }
  }
}

/** By this process' own last reading, or the one in the status; closed. */
function lastKnown(session: AgentSession, podUID: string, incarnation: number, { env, readings }: SessionTools): SessionUsage | undefined {
  const reading = readings.last(podUID)
  const held = session.status?.usage?.incarnation === incarnation ? session.status.usage : undefined
  const last = reading ? laterOf(held, usageOf(reading, incarnation)) : held
  return last && unmeasuredSince(last, env.clock.now())
}

function lost(session: AgentSession, incarnation: number, why: string, tools: SessionTools): FinalUsage {
  const nowMs = tools.env.clock.now()
  return told(session, unmeasured(incarnation, Date.parse(session.status?.startedAt ?? '') || nowMs, nowMs), why, tools)
}

function told(session: AgentSession, usage: SessionUsage, why: string, { cluster }: SessionTools): FinalUsage {
  cluster.events.record(session, {
    type: 'Warning',
    reason: 'UsageMissed',
    note: `${why}: the usage of incarnation ${usage.incarnation} is short by at most ${usage.missedSeconds} s`,
    action: 'Meter',
  })
  return { usage }
}
