import type { AgentSession, SessionUsage } from '../../crds/agent-session.ts'
import type { MeterAnswer } from '../env.ts'
import type { SessionTools } from '../session/step.ts'
import { lastKnown, lost, neverRan, told, type LastOfUsage } from './closing.ts'
import { finalBeside, hasMetersBeside } from './last-word.ts'
import { finalOf, laterOf, unmeasuredSince, usageOf } from './session-usage.ts'

const LOOK_AGAIN_MS = 200
/** A meter that does not answer, or is not done with the pod, holds the end of the session up for so long at most. */
const LONGEST_MS = 10_000

export type FinalUsage = LastOfUsage | { againAfterMs: number }

/**
 * The usage of the incarnation that the status names, whose pod is gone: the meter's final word, or after a while the last that
 * is known, marked with the time that is missing. What is lost is told by an event.
 */
export async function finalUsage(session: AgentSession, podUID: string | undefined, tools: SessionTools): Promise<FinalUsage> {
  const held = session.status?.usage
  const incarnation = session.status?.incarnation
  if (podUID === undefined || incarnation === undefined || isFinal(held, incarnation)) return { usage: held }
  tools.readings.rest(podUID)
  if (hasMetersBeside(tools.settings)) return finalBeside(session, podUID, incarnation, tools)
  return finalOfAll(session, podUID, incarnation, tools)
}

/** One meter for all pods knows those that are gone; it is waited for. */
async function finalOfAll(session: AgentSession, podUID: string, incarnation: number, tools: SessionTools): Promise<FinalUsage> {
  const { env, readings } = tools
  const held = session.status?.usage
  const answer = await read(session, podUID, tools)
  if (answer === 'unmetered') return { usage: lastKnown(session, podUID, incarnation, tools) }
  if (answer === 'unknown') {
    const usage = lastKnown(session, podUID, incarnation, tools)
    if (usage || neverRan(session)) return { usage }
    return lost(session, incarnation, `the meter knows nothing of pod ${session.status?.podName}`, tools)
  }
  if ('notVisible' in answer) return { usage: undefined, ...answer }
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

async function read(session: AgentSession, podUID: string, { env }: SessionTools): Promise<MeterAnswer | { failed: string }> {
  try {
    return await env.meters.read({ uid: podUID, sessionUID: session.metadata.uid!, address: undefined })
  } catch (error) {
    env.log.debug({ podUID, err: error }, 'the final usage was not read')
    return { failed: error instanceof Error ? error.message : String(error) }
  }
}
