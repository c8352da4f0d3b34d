import { AGENT_CONTAINER, type AgentSession } from '../../crds/agent-session.ts'
import type { Pod } from '../../kube/objects.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import type { Ending, SessionTools } from './step.ts'

const LAST_LOG_LINES = 20
const LAST_LOG_BYTES = 4_096
const LAST_LOG_LINE_CHARACTERS = 400
/** Those of which the agent itself may have written why. */
const TOLD_BY_LOG: ReadonlySet<EndReason> = new Set(['StartFailed', 'AgentExited', 'Unhealthy', 'OutOfMemory', 'StorageExceeded'])

/** Read before the pod goes, for those who may read logs. Best effort: a missing log never holds an end back. */
export async function withLastLog(
  ending: Ending,
  session: AgentSession,
  pod: Pod | undefined,
  { cluster, env }: SessionTools,
): Promise<Ending> {
  if (pod === undefined || !TOLD_BY_LOG.has(ending.reason) || !hasStarted(pod)) return ending
  try {
    const text = await cluster.client.logs(session.metadata.namespace!, pod.metadata.name, {
      container: AGENT_CONTAINER,
      tailLines: LAST_LOG_LINES,
      limitBytes: LAST_LOG_BYTES,
    })
    return {
      ...ending,
      lastLog: text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.slice(0, LAST_LOG_LINE_CHARACTERS)),
    }
  } catch (error) {
    env.log.warn({ session: session.metadata.name, err: error }, 'the last log lines could not be read')
    return ending
  }
}

/** Of a container that waits there is no log. */
function hasStarted(pod: Pod): boolean {
  return !pod.status?.containerStatuses?.some(({ name, state }) => name === AGENT_CONTAINER && state?.waiting)
}

/** What runc says, as the container's only word, when the kernel does not know the program's format. */
const WRONG_FORMAT = /^(exec .*|standard_init_linux\.go:\d+: .*|.* OCI runtime create failed: .*): exec format error$/
const NO_RIGHT = /\b(EACCES|EPERM)\b|permission denied|operation not permitted/i

/**
 * What the agent's last words say of an end beyond its exit code: an image for another processor, and what its user may not
 * do. Its words stay in `lastLog`: a message reaches callers who may not read logs. `user`: as which it ran, in a container.
 */
export function explained(ending: Ending, { started, user }: { started: boolean; user: number | undefined }): Ending {
  if (user === undefined || (ending.reason !== 'StartFailed' && ending.reason !== 'AgentExited')) return ending
  const words = [ending.message, ...(ending.lastLog ?? [])]
  if (!started && words.some((line) => WRONG_FORMAT.test(line.trim())))
    return {
      ...ending,
      reason: 'WrongArchitecture',
      message:
        "the image's program is for another processor than the node's (exec format error): build the image for that too " +
        '(docker buildx build --platform linux/amd64,linux/arm64), or place the agent on nodes that fit by ' +
        'spec.placement.nodeSelector["kubernetes.io/arch"]',
    }
  if (!words.some((line) => NO_RIGHT.test(line))) return ending
  const root = 'an image that needs root takes runAsUser: 0 and a namespace that allows it (Pod Security `baseline`)'
  return { ...ending, message: `${ending.message}; the agent runs as user ${user} (spec.securityContext.runAsUser): ${root}` }
}
