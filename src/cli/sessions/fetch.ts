import { AGENT_SESSIONS, RUNTIME_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import { KubeClient } from '../../kube/client.ts'
import type { Transport } from '../../kube/transport.ts'
import { explained, misuse } from '../failure.ts'

/** Where a command looks: `namespace` undefined is all of them. */
export interface Scope {
  namespace: string | undefined
  runtime: string | undefined
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** -n, -A and --runtime, checked before anything is asked. */
export function scopeOf(options: { namespace?: string; allNamespaces?: boolean; runtime?: string }, cluster: { namespace: string }): Scope {
  const { namespace, allNamespaces, runtime } = options
  if (namespace !== undefined && allNamespaces) throw misuse('-n and -A exclude each other')
  for (const [flag, name] of [
    ['-n', namespace],
    ['--runtime', runtime],
  ] as const) {
    if (name !== undefined && !NAME.test(name))
      throw misuse(`${flag} ${JSON.stringify(name.slice(0, 80))} can be no name: lower-case letters, digits and -`)
  }
  return { namespace: allNamespaces ? undefined : (namespace ?? cluster.namespace), runtime }
}

/** Live ones first, and of each the latest first. */
export async function fetchSessions(kubernetes: Transport, { namespace, runtime }: Scope): Promise<AgentSession[]> {
  try {
    const { items } = await new KubeClient(kubernetes).list(AGENT_SESSIONS, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(runtime === undefined ? {} : { labelSelector: `${RUNTIME_LABEL}=${runtime}` }),
    })
    return items.toSorted(
      (a, b) =>
        Number(isLive(b)) - Number(isLive(a)) || beginOf(b).localeCompare(beginOf(a)) || (a.metadata.name < b.metadata.name ? -1 : 1),
    )
  } catch (error) {
    throw explained(error, { verbs: 'list', resource: 'agentsessions.carrel.dev', namespace })
  }
}

export function isLive({ status, spec }: AgentSession): boolean {
  return status?.phase !== 'Terminated' || status.incarnation !== spec.incarnation
}

function beginOf({ status, metadata }: AgentSession): string {
  return status?.startedAt ?? metadata.creationTimestamp ?? ''
}

/** What an empty list says. */
export function nothingHere({ namespace, runtime }: Scope): string {
  const where = namespace === undefined ? 'in any namespace' : `in namespace ${namespace}`
  const of = runtime === undefined ? '' : ` of ${runtime}`
  const elsewhere = namespace === undefined ? '' : ' Look everywhere: -A.'
  return `There are no sessions${of} ${where}. The first call of a session id opens one; ended ones leave after a while.${elsewhere}`
}
