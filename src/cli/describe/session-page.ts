import type { AgentSession } from '../../crds/agent-session.ts'
import { END_REASON_MEANING } from '../../sessions/end-reason.ts'
import { shownDuration } from '../duration.ts'
import { shownLine } from '../logs/line.ts'
import { activityOf, phaseOf, type SessionRow } from '../sessions/row.ts'
import { usedInText } from '../usage/used.ts'
import { conditionLines } from './conditions.ts'
import { eventLines } from './events.ts'
import { between, moment } from './moment.ts'
import { adviceOn } from './next.ts'
import type { Field, Section } from './page.ts'
import { podFields } from './pod.ts'
import type { SessionStory } from './session.ts'

export function sessionSections(story: SessionStory, nowMs: number, style: { colour: boolean; columns: number | undefined }): Section[] {
  const { row, seen, events, log } = story
  const { session } = row
  const pod = 'pod' in seen ? seen.pod : undefined
  return [
    { title: `Session ${session.metadata.name}`, content: identity(row) },
    { title: 'End', content: endFields(session) },
    { title: 'What to do', content: [{ label: '', value: adviceOn(session, pod) }] },
    { title: 'Times', content: times(session, nowMs) },
    { title: 'Pod', content: podFields(seen, session.status?.podName) },
    { title: 'Used', content: used(row) },
    { title: 'Conditions', content: conditionLines(session.status?.conditions, nowMs, style) },
    { title: 'Events', content: eventLines(events, nowMs, style) },
    { title: 'Last lines of the agent', content: logLines(log) },
  ]
}

function identity({ session, use }: SessionRow): Field[] {
  const { metadata, spec, status } = session
  const phase = phaseOf(session)
  const busy = use && `${activityOf(use)}${use.idleForMs === undefined ? '' : ` for ${shownDuration(use.idleForMs)}`}`
  return [
    { label: 'Session id', value: spec.sessionId },
    { label: 'Namespace', value: metadata.namespace },
    {
      label: 'Runtime',
      value: `${spec.runtimeRef.name}, endpoint ${spec.endpoint}${status?.version ? `, version ${status.version}` : ''}`,
    },
    { label: 'Owner', value: `${spec.owner.subject} (${spec.owner.kind}, ${spec.owner.issuer})` },
    { label: 'Phase', value: phase, tone: phase === 'Running' ? 'good' : undefined },
    { label: 'Activity', value: busy },
    { label: 'Incarnation', value: String(spec.incarnation) },
  ]
}

function endFields({ status }: AgentSession): Field[] {
  if (status?.endReason === undefined) return []
  return [
    { label: 'Reason', value: `${status.endReason}: ${END_REASON_MEANING[status.endReason]}` },
    { label: 'Message', value: status.endMessage },
  ]
}

function times({ metadata, status }: AgentSession, nowMs: number): Field[] {
  const ready = status?.conditions?.find(({ type, status: is }) => type === 'Ready' && is === 'True')?.lastTransitionTime
  const lived = between(status?.startedAt, status?.endedAt)
  return [
    { label: 'First opened', value: moment(metadata.creationTimestamp, nowMs) },
    { label: 'Pod made', value: moment(status?.startedAt, nowMs) },
    { label: 'First ping', value: moment(ready, nowMs) },
    { label: 'Ended', value: [moment(status?.endedAt, nowMs), lived && `after ${lived}`].filter(Boolean).join(', ') },
    { label: 'Ends at the latest', value: status?.endedAt === undefined ? moment(status?.expiresAt, nowMs) : undefined },
    {
      label: 'Ends when idle for',
      value: status?.idleTimeoutSeconds === undefined ? undefined : shownDuration(status.idleTimeoutSeconds * 1_000),
    },
  ]
}

function used({ session, used: amounts }: SessionRow): Field[] {
  const { usage, usageBefore } = session.status ?? {}
  if (amounts === undefined) return [{ label: 'Measured', value: 'nothing yet' }]
  const { cpuSeconds, memoryPeakGBSeconds, memoryInUseGBSeconds } = usedInText(amounts)
  const source = [usage?.source, usage?.final ? 'final' : 'so far'].filter(Boolean).join(', ')
  return [
    { label: 'CPU-seconds', value: cpuSeconds },
    { label: 'GB-seconds', value: `${memoryPeakGBSeconds} by the peak, ${memoryInUseGBSeconds} in use` },
    { label: 'Measured', value: usage && `${usage.measuredSeconds} s of incarnation ${usage.incarnation} (${source})` },
    { label: 'Before it', value: usageBefore && `${usageBefore.incarnations} incarnations are in the sum` },
    { label: 'Not measured', value: usage?.missedSeconds && `${usage.missedSeconds} s before the end` },
  ]
}

function logLines(log: readonly string[] | undefined): string[] {
  if (log === undefined) return ['not shown: you have no right to get pods/log here']
  return log.map(shownLine)
}
