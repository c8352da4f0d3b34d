import { AGENT_CONTAINER, AGENT_SESSIONS, type AgentSession } from '../../crds/agent-session.ts'
import { sleep } from '../../env/clock.ts'
import { KubeClient } from '../../kube/client.ts'
import { ApiError, isNotFound } from '../../kube/errors.ts'
import { mayRead } from '../allowed.ts'
import type { CliEnv, Cluster } from '../env.ts'
import { CommandFailure, explained, misuse } from '../failure.ts'
import { fetchSessions, isLive, scopeOf } from '../sessions/fetch.ts'
import { onlyOne, sessionsCalled } from '../sessions/find.ts'
import { linesOf, shownLine } from './line.ts'

export interface LogsOptions {
  kubeconfig?: string
  namespace?: string
  runtime?: string
  follow?: boolean
  tail?: string
  container: 'agent' | 'meter'
}

/** Between two looks at a pod whose container has not started. */
const LOOK_EVERY_MS = 500

/** What a session's agent wrote; after its pod has gone, the last lines that the session kept. */
export async function showLogs(env: CliEnv, wanted: string, options: LogsOptions): Promise<void> {
  const query: Record<string, string> = { container: options.container }
  if (options.tail !== undefined) query['tailLines'] = countOf(options.tail)
  if (options.follow) query['follow'] = 'true'
  const cluster = env.cluster(options)
  const scope = scopeOf(options, cluster)
  const session = onlyOne(wanted, sessionsCalled(wanted, await fetchSessions(cluster.kubernetes, scope)), scope)
  const enough = options.follow ? env.enough() : new AbortController().signal
  let now: AgentSession | undefined = session
  let isTold = false
  while (!enough.aborted) {
    const read = now !== undefined && (await readLog(env, cluster, now, query, enough))
    if (read === 'read') return noteEnd(env, cluster, session, enough)
    if (now === undefined || read === 'gone') return showKept(env, cluster, now ?? session, options)
    if (!options.follow) throw new CommandFailure(`${whyNothing(now)}. Wait for it: carrel logs ${session.metadata.name} --follow`)
    if (!isTold) env.screen.note(`${whyNothing(now)}: waiting`)
    isTold = true
    await sleep(env.clock, LOOK_EVERY_MS, enough)
    now = await again(cluster, session)
  }
}

function countOf(tail: string): string {
  if (!/^\d{1,7}$/.test(tail)) throw misuse(`--tail ${JSON.stringify(tail.slice(0, 40))} is no number of lines`)
  return tail
}

async function again({ kubernetes }: Cluster, { metadata }: AgentSession): Promise<AgentSession | undefined> {
  const needed = { verbs: 'get', resource: 'agentsessions.carrel.dev', namespace: metadata.namespace }
  try {
    return await new KubeClient(kubernetes).find(AGENT_SESSIONS, metadata.namespace, metadata.name)
  } catch (error) {
    throw explained(error, needed)
  }
}

/** `notYet`: there is no pod, or its container has not started. `gone`: the pod is no more. */
async function readLog(
  { screen }: CliEnv,
  cluster: Cluster,
  { metadata, status }: AgentSession,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<'read' | 'notYet' | 'gone'> {
  const { podName: pod, phase } = status ?? {}
  if (pod === undefined) return phase === 'Terminated' ? 'gone' : 'notYet'
  const namespace = metadata.namespace!
  try {
    for await (const line of linesOf(cluster.log({ namespace, pod, query, signal }))) screen.out(shownLine(line))
    return 'read'
  } catch (error) {
    if (isNotFound(error)) return 'gone'
    // "container agent in pod … is waiting to start: ContainerCreating"
    if (error instanceof ApiError && error.status === 400 && /waiting to start|is not available|not ready/.test(error.message))
      return 'notYet'
    throw explained(error, { verbs: 'get', resource: 'pods/log', namespace })
  }
}

function whyNothing({ metadata, status }: AgentSession): string {
  if (status?.podName === undefined) return `session ${metadata.name} has no pod yet`
  return `pod ${status.podName} of session ${metadata.name} has not started its containers yet`
}

/** A log that is followed ends with its container: why it did is the next question. */
async function noteEnd(env: CliEnv, cluster: Cluster, session: AgentSession, enough: AbortSignal): Promise<void> {
  const now = enough.aborted ? undefined : await again(cluster, session)
  if (now?.status?.endReason === undefined) return
  env.screen.note(`\nsession ${now.metadata.name} ended: ${shownLine(endOf(now))}`)
}

function endOf({ status }: AgentSession): string {
  return [status?.endReason, status?.endMessage].filter((part) => part !== undefined).join(': ')
}

/** The operator keeps the last lines of an agent that failed. They are shown to those who might have read the log itself. */
async function showKept(env: CliEnv, cluster: Cluster, session: AgentSession, { container }: LogsOptions): Promise<void> {
  const { metadata, status } = session
  const over = isLive(session) ? 'its pod is gone' : `it is over (${shownLine(endOf(session)) || 'for no told reason'}) and its pod is gone`
  const lines = container === AGENT_CONTAINER ? (status?.lastLog ?? []) : []
  const isAllowed = await mayRead(cluster.kubernetes, { resource: 'pods', subresource: 'log', namespace: metadata.namespace! })
  if (lines.length === 0 || !isAllowed) {
    const why = isAllowed
      ? 'Only the last lines of an agent that failed are kept'
      : 'To read what was kept of its log, you need the right to get pods/log'
    throw new CommandFailure(`session ${metadata.name}: ${over}, and the log with it. ${why}; collect the logs of pods to have all`)
  }
  env.screen.note(`session ${metadata.name}: ${over}. These are the last lines that were kept:\n`)
  for (const line of lines) env.screen.out(shownLine(line))
}
