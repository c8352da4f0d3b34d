import type { AgentSession } from '../../crds/agent-session.ts'
import { EVENTS } from '../../kube/events.ts'
import type { Pod } from '../../kube/objects.ts'
import type { PodEvent } from './start-failure.ts'
import type { SessionTools } from './step.ts'

/** A pod that has no address after this long is asked about by its events; those that start well have one by then. */
const LOOK_AFTER_MS = 1_000
/** And again: what an event says is to reach the caller within 2 s. */
const LOOK_AGAIN_MS = 1_500

/** When the events of a starting pod are to be read next, from now; undefined: its status says enough. Pure. */
export function eventsDueInMs(pod: Pod, startedForMs: number): number | undefined {
  const unscheduled = pod.status?.conditions?.some(({ type }) => type === 'PodScheduled')
  if (unscheduled || pod.status?.podIP) return undefined
  return Math.max(0, LOOK_AFTER_MS - startedForMs)
}

export const eventsDueAgainInMs = LOOK_AGAIN_MS

/** In the order in which they happened. Best effort: without the right to list them there are none. */
export async function eventsOf(pod: Pod, session: AgentSession, { cluster, env }: SessionTools): Promise<PodEvent[]> {
  try {
    const { items } = await cluster.client.list(EVENTS, {
      namespace: session.metadata.namespace!,
      fieldSelector: `regarding.kind=Pod,regarding.uid=${pod.metadata.uid}`,
    })
    return items.toSorted((a, b) => (lastAt(a) < lastAt(b) ? -1 : 1)).map(({ reason, note }) => ({ reason, note: note ?? '' }))
  } catch (error) {
    env.log.warn({ session: session.metadata.name, err: error }, 'the events of its pod could not be read')
    return []
  }
}

/** kubelet still writes the older form, whose times travel in `deprecated` fields. */
function lastAt(event: { eventTime?: string | null; deprecatedLastTimestamp?: string; metadata: { creationTimestamp?: string } }): string {
  return event.deprecatedLastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? ''
}
