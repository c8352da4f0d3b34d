import type { AgentRuntimeStatus } from '../../crds/agent-runtime.ts'
import type { Condition } from '../../kube/objects.ts'

interface RuntimeEvent {
  type: 'Normal' | 'Warning'
  reason: string
  note: string
  action: string
}

/** Conditions whose changes people hear of: what is done when they are made, and the status that is good news. */
const TOLD: Record<string, { action: string; good: Condition['status'] }> = {
  Accepted: { action: 'Accept', good: 'True' },
  EndpointsResolved: { action: 'ResolveEndpoints', good: 'True' },
  AuthorizerReady: { action: 'CheckProvider', good: 'True' },
  AudienceShared: { action: 'CompareAudiences', good: 'False' },
}

/** What changed for better or worse between two statuses. That all is well from the start is no news. */
export function eventsOf(before: AgentRuntimeStatus | undefined, after: AgentRuntimeStatus): RuntimeEvent[] {
  return (after.conditions ?? []).flatMap((now): RuntimeEvent[] => {
    const told = TOLD[now.type]
    const earlier = before?.conditions?.find(({ type }) => type === now.type)
    if (!told || now.status === 'Unknown') return []
    if (earlier?.status === now.status && earlier.reason === now.reason) return []
    const isGood = now.status === told.good
    if (isGood && (earlier === undefined || earlier.status === 'Unknown')) return []
    return [{ type: isGood ? 'Normal' : 'Warning', reason: now.reason, note: now.message || now.reason, action: told.action }]
  })
}
