import { METER_CONTAINER, type AgentSession } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { SessionTools } from '../session/step.ts'
import type { OperatorSettings } from '../settings.ts'
import { lastKnown, lost, neverRan, told, type LastOfUsage } from './closing.ts'
import { meteredPod } from './live.ts'

/** Whether each pod has its own meter, which goes with it. */
export function hasMetersBeside({ meterUrl, meterImage, meterSecret }: OperatorSettings): boolean {
  return meterUrl === undefined && meterImage !== undefined && meterSecret !== undefined
}

/**
 * Whether this pod of an ending session is to stay for a moment, until its meter was read for the last time: never longer than a
 * second, never for a meter that cannot answer any more, and not when somebody else has deleted the pod already.
 */
export function isAwaited(session: AgentSession, pod: Pod, { readings, settings }: SessionTools): boolean {
  const { metadata, status } = pod
  if (!hasMetersBeside(settings) || metadata.deletionTimestamp || metadata.uid !== session.status?.podUID) return false
  if (status?.podIP === undefined || !isMeterUp(pod)) return false
  return readings.lastWord(meteredPod(session, metadata.uid!, status.podIP, Infinity)) === 'awaited'
}

function isMeterUp({ status }: Pod): boolean {
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded') return false
  return !status?.containerStatuses?.find(({ name }) => name === METER_CONTAINER)?.state?.terminated
}

/** The pod's own meter went with it: what it said last stands, which was a moment before if the pod was deleted by us. */
export function finalBeside(session: AgentSession, podUID: string, incarnation: number, tools: SessionTools): LastOfUsage {
  const { readings } = tools
  const usage = lastKnown(session, podUID, incarnation, tools)
  const notVisible = readings.notVisible(podUID) ?? (usage ? undefined : notVisibleBefore(session))
  if (notVisible !== undefined) return { usage: undefined, notVisible }
  if (usage && readings.heardLastWord(podUID)) return { usage }
  if (neverRan(session)) return { usage }
  const why = `the meter of pod ${session.status?.podName} was not asked before the pod went, or did not answer`
  return usage ? told(session, usage, why, tools) : lost(session, incarnation, why, tools)
}

/** By what was written, when an operator before this one asked and this one knows nothing. */
function notVisibleBefore({ status }: AgentSession): string | undefined {
  return status?.conditions?.find(({ type, status: is }) => type === 'Metered' && is === 'False')?.message
}
