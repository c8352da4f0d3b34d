import { AGENT_CONTAINER, type AgentSession } from '../../crds/agent-session.ts'
import { usesOf, type Uses } from '../activity.ts'
import { mayRead } from '../allowed.ts'
import type { CliEnv, Cluster } from '../env.ts'
import { linesOf, shownLine } from '../logs/line.ts'
import { rowInJson, rowsOf, type SessionRow } from '../sessions/row.ts'
import { eventsOf, type Events } from './events.ts'
import { adviceOn } from './next.ts'
import { podInJson, podOf, type SeenPod } from './pod.ts'

/** All that is known of a session. */
export interface SessionStory {
  row: SessionRow
  uses: Uses
  seen: SeenPod
  events: Events
  /** The last lines of the agent; `undefined` for those who may not read logs. */
  log: readonly string[] | undefined
}

const LAST_LINES = '10'

export async function sessionStory(
  env: CliEnv,
  cluster: Cluster,
  session: AgentSession,
  gateway: string | undefined,
): Promise<SessionStory> {
  const { kubernetes } = cluster
  const { namespace: ns, uid, name } = session.metadata
  const namespace = ns!
  const { podName, podUID } = session.status ?? {}
  const [uses, seen, events, isReader] = await Promise.all([
    usesOf(env, cluster, { gateway, namespace }),
    podOf(kubernetes, namespace, podName, podUID),
    eventsOf(kubernetes, namespace, [uid, podUID]),
    mayRead(kubernetes, { resource: 'pods', subresource: 'log', namespace, ...(podName === undefined ? {} : { name: podName }) }),
  ])
  const [row] = rowsOf([session], uses)
  if (row === undefined) throw new Error(`no row of session ${name}`)
  const log = isReader ? await lastLines(cluster, session, seen) : undefined
  return { row, uses, seen, events, log }
}

/** Of the pod while there is one, else what the session kept of an agent that failed. A log that cannot be read is no failure here. */
async function lastLines(cluster: Cluster, { metadata, status }: AgentSession, seen: SeenPod): Promise<string[]> {
  const pod = 'pod' in seen ? seen.pod : undefined
  const kept = status?.lastLog ?? []
  if (pod === undefined || kept.length > 0) return kept
  const request = {
    namespace: metadata.namespace!,
    pod: pod.metadata.name,
    query: { container: AGENT_CONTAINER, tailLines: LAST_LINES, limitBytes: '16384' },
    signal: new AbortController().signal,
  }
  const lines: string[] = []
  try {
    for await (const line of linesOf(cluster.log(request))) lines.push(line)
  } catch {
    // Its container has not started, or the pod went meanwhile.
  }
  return lines
}

/** Stable names, for scripts. What is not known is null. */
export function sessionInJson({ row, seen, events, log }: SessionStory): object {
  const { session } = row
  const pod = 'pod' in seen ? seen.pod : undefined
  return {
    kind: 'AgentSession',
    ...rowInJson(row),
    openedAt: session.metadata.creationTimestamp ?? null,
    podUID: session.status?.podUID ?? null,
    podSeen: pod === undefined ? null : podInJson(pod),
    conditions: session.status?.conditions ?? [],
    events: 'told' in events ? events.told : null,
    lastLog: log?.map(shownLine) ?? null,
    advice: adviceOn(session, pod) ?? null,
  }
}
