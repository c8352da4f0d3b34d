import { METER_CONTAINER } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { Ending, SessionTools } from './step.ts'

/** Between two looks at a pod that is still in use. */
const LOOK_AGAIN_MS = 2_000
/** Holds nothing open, so that everybody else's use counts. */
const NOBODY = ''

/**
 * A running session whose meter has ended: no new connection to its agent can be proven (design rule 1), so no call could reach it
 * until it idles out. It ends once nothing is open on it (design rule 5); its next call opens another pod.
 */
export async function endOfUnprovable(pod: Pod | undefined, { env }: SessionTools): Promise<Ending | { againAfterMs: number } | undefined> {
  const meter = pod?.status?.containerStatuses?.find(({ name }) => name === METER_CONTAINER)?.state?.terminated
  if (pod === undefined || meter === undefined) return undefined
  if (await env.activity.isHeld(pod.metadata.uid!, NOBODY)) return { againAfterMs: LOOK_AGAIN_MS }
  const how = `${meter.reason ?? 'ended'}, exit code ${meter.exitCode}`
  return {
    reason: 'Unhealthy',
    message: `the meter beside the agent is gone (${how}), so that no new connection can be proven; a matter of the installation; the next call opens a new pod`,
  }
}
