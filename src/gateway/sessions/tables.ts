import { AGENT_RUNTIMES, type AgentRuntime } from '../../crds/agent-runtime.ts'
import { AGENT_SESSIONS, RUNTIME_LABEL, SESSION_UID_LABEL, type AgentSession } from '../../crds/agent-session.ts'
import type { Pod, Secret } from '../../kube/objects.ts'
import { reflect } from '../../kube/reflector.ts'
import { PODS, SECRETS } from '../../kube/resource.ts'
import { withoutContent } from '../../kube/slim.ts'
import { Store, keyOf } from '../../kube/store.ts'
import type { EndReason } from '../../sessions/end-reason.ts'
import { agentRuntimeId } from '../../sessions/runtime-id.ts'
import { accessKeyOf } from '../auth/access-keys.ts'
import type { GatewayEnv } from '../env.ts'
import { sessionIndexes } from '../limits/limits.ts'
import { VERSION_POLICIES, policyPart, type VersionPolicy } from './endpoint.ts'
import { endOf, situationOf, type Situation } from './situation.ts'

export interface TableSettings {
  /** Namespace of Carrel itself: the only one whose Secrets are read. */
  namespace: string
  /** Type of the Secrets that hold access keys. */
  accessKeyType: string
}

/** What the gateway knows, fed by watches: the hot path reads it and nothing else (design rule 6). */
export class Tables {
  readonly runtimes = new Store<AgentRuntime>({ id: (runtime) => [agentRuntimeId(runtime)] })
  /** Versions of runtimes, for named endpoints. */
  readonly versions = new Store<VersionPolicy>()
  readonly sessions = new Store<AgentSession>(sessionIndexes)
  readonly pods = new Store<Pod>({ session: (pod) => ownerKey(pod) })
  /** By the access key's id; what is no usable key has none. */
  readonly accessKeys = new Store<Secret>({ id: (secret) => [accessKeyOf(secret)?.accessKeyId ?? []].flat() })
  readonly synced: Promise<void>
  readonly #waiting = new Map<string, Set<() => void>>()
  /** Session key → pods that calls were routed to. */
  readonly #open = new Map<string, Map<string, OpenPod>>()
  readonly #goneListeners: ((podUID: string, reason: EndReason) => void)[] = []

  constructor(env: GatewayEnv, settings: TableSettings, signal: AbortSignal) {
    const shared = { env, transport: env.kubernetes }
    this.sessions.subscribe(({ object }) => this.#changed(keyOf(object)))
    this.pods.subscribe(({ object }) => ownerKey(object).forEach((key) => this.#changed(key)))
    void reflect({ ...shared, resource: AGENT_RUNTIMES, store: this.runtimes }, signal)
    const versions = { resource: VERSION_POLICIES, store: this.versions, labelSelector: RUNTIME_LABEL, transform: policyPart }
    void reflect({ ...shared, ...versions }, signal)
    void reflect({ ...shared, resource: AGENT_SESSIONS, store: this.sessions }, signal)
    void reflect({ ...shared, resource: PODS, store: this.pods, labelSelector: SESSION_UID_LABEL, transform: routingPart }, signal)
    void reflect(
      {
        ...shared,
        resource: SECRETS,
        store: this.accessKeys,
        namespace: settings.namespace,
        fieldSelector: `type=${settings.accessKeyType}`,
      },
      signal,
    )
    this.synced = Promise.all(this.#stores().map(({ synced }) => synced)).then(() => undefined)
  }

  get hasSynced(): boolean {
    return this.#stores().every(({ hasSynced }) => hasSynced)
  }

  #stores(): { synced: Promise<void>; hasSynced: boolean }[] {
    return [this.runtimes, this.versions, this.sessions, this.pods, this.accessKeys]
  }

  situation(key: string): Situation {
    const session = this.sessions.byKey(key)
    return situationOf(session, (name) => this.pods.get(session?.metadata.namespace, name))
  }

  /** Resolves at the next change of the session or its pod. Ask for it before anything is awaited, or a change is missed. */
  nextChange(key: string): { changed: Promise<void>; forget(): void } {
    const waiters = this.#waiting.get(key) ?? new Set()
    this.#waiting.set(key, waiters)
    let wake = (): void => {}
    const changed = new Promise<void>((resolve) => waiters.add((wake = resolve)))
    return { changed, forget: () => void (waiters.delete(wake) && waiters.size === 0 && this.#waiting.delete(key)) }
  }

  /** Settles when the pod is no more the one of its session; the same promise for every call that is open on it. */
  ended(key: string, podUID: string): Promise<{ reason: EndReason }> {
    const pods = this.#open.get(key) ?? new Map<string, OpenPod>()
    const known = pods.get(podUID)
    if (known) return known.ended
    const { promise, resolve } = Promise.withResolvers<{ reason: EndReason }>()
    this.#open.set(key, pods.set(podUID, { ended: promise, end: resolve }))
    return promise
  }

  #forgetOpen(key: string, podUID: string): void {
    const pods = this.#open.get(key)
    pods?.delete(podUID)
    if (pods?.size === 0) this.#open.delete(key)
  }

  /** Called once for each pod that calls were routed to, when its route goes. */
  onGone(listener: (podUID: string, reason: EndReason) => void): void {
    this.#goneListeners.push(listener)
  }

  #changed(key: string): void {
    for (const [podUID, open] of this.#open.get(key) ?? []) {
      const reason = endOf(this.sessions.byKey(key), podUID)
      if (reason === undefined) continue
      this.#forgetOpen(key, podUID)
      open.end({ reason })
      for (const listener of this.#goneListeners) listener(podUID, reason)
    }
    const waiters = this.#waiting.get(key)
    this.#waiting.delete(key)
    for (const wake of waiters ?? []) wake()
  }
}

interface OpenPod {
  ended: Promise<{ reason: EndReason }>
  end(how: { reason: EndReason }): void
}

function ownerKey(pod: Pod): string[] {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller && reference.kind === AGENT_SESSIONS.kind)
  return owner ? [`${pod.metadata.namespace}/${owner.name}`] : []
}

/** All that routing reads of a pod; ten thousand of them stay small. */
function routingPart(pod: Pod): Pod {
  return { ...withoutContent(pod), status: pod.status?.podIP ? { podIP: pod.status.podIP } : {} }
}
