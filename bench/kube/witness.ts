/** What the watches of an API server show while sessions come and go: one entry for each change of an object. */
import type { AgentSession } from '../../src/crds/agent-session.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, pathOf, type Resource } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'

/** `agentsessions default/x` → its changes, oldest first, in words. */
export type Changes = ReadonlyMap<string, readonly string[]>

export interface Witness {
  changes: Changes
  /** Objects that are there. */
  present(): number
}

/** Sees every change from now on until the signal aborts. A watch that breaks makes `failed` reject: the count would be wrong. */
export async function witness(transport: Transport, signal: AbortSignal): Promise<Witness & { failed: Promise<never> }> {
  const changes = new Map<string, string[]>()
  const present = new Set<string>()
  const { promise: failed, reject } = Promise.withResolvers<never>()
  failed.catch(() => {})
  for (const resource of [AGENT_SESSIONS, PODS] as Resource[]) {
    const { body } = await transport.request({ method: 'GET', path: pathOf(resource) })
    const { resourceVersion } = (body as KubeObject).metadata
    const follow = async (): Promise<void> => {
      const before = new Map<string, KubeObject>()
      const query = { watch: 'true', resourceVersion: resourceVersion!, timeoutSeconds: '3600' }
      for await (const event of transport.watch({ path: pathOf(resource), query, signal })) {
        if (event.type === 'BOOKMARK') continue
        if (event.type === 'ERROR') throw new Error(event.object.message)
        const { object, type } = event
        const key = `${resource.plural} ${object.metadata.namespace}/${object.metadata.name}`
        if (type === 'MODIFIED' && isHalfOfDeletion(object)) continue
        const words = type === 'ADDED' ? 'created' : type === 'DELETED' ? 'gone' : changeOf(before.get(key), object)
        changes.set(key, [...(changes.get(key) ?? []), words])
        before.set(key, object)
        if (type === 'DELETED') present.delete(key)
        else present.add(key)
      }
      if (!signal.aborted) throw new Error(`the watch of ${resource.plural} ended`)
    }
    follow().catch(reject)
  }
  return { changes, present: () => present.size, failed }
}

/** A real server makes two changes of a last deletion: it takes the grace first, then the object. */
function isHalfOfDeletion({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0 && !metadata.finalizers?.length
}

function changeOf(before: KubeObject | undefined, now: KubeObject): string {
  if (now.metadata.deletionTimestamp && !before?.metadata.deletionTimestamp) return 'deletion begins'
  return now.kind === AGENT_SESSIONS.kind
    ? sessionChange(before as AgentSession, now as AgentSession)
    : podChange(before as Pod, now as Pod)
}

function sessionChange(before: AgentSession | undefined, now: AgentSession): string {
  if (now.status?.phase !== before?.status?.phase) return `status ${now.status?.phase}`
  if (now.spec.stopThrough !== before?.spec.stopThrough) return 'stop asked'
  if (now.spec.incarnation !== before?.spec.incarnation) return 'reopened'
  return 'other'
}

function podChange(before: Pod | undefined, now: Pod): string {
  if (now.spec?.nodeName !== before?.spec?.nodeName) return 'bound'
  const state = now.status?.containerStatuses?.[0]?.state ?? {}
  return `status ${now.status?.phase}, container ${Object.keys(state)[0] ?? 'none'}`
}
