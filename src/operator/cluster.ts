import { AGENT_RUNTIMES } from '../crds/agent-runtime.ts'
import type { AgentRuntime } from '../crds/agent-runtime.ts'
import { AGENT_SESSIONS, RUNTIME_LABEL, SESSION_UID_LABEL } from '../crds/agent-session.ts'
import type { AgentSession } from '../crds/agent-session.ts'
import { GATEWAYS_SELECTOR, SYSTEM_NAMESPACE } from '../crds/system.ts'
import type { Env } from '../env/env.ts'
import { KubeClient } from '../kube/client.ts'
import { EventRecorder } from '../kube/events.ts'
import { LEASES, type Lease } from '../kube/lease.ts'
import { LiveHolders } from '../kube/live-holders.ts'
import type { ControllerRevision, Pod } from '../kube/objects.ts'
import { reflect } from '../kube/reflector.ts'
import { CONTROLLER_REVISIONS, PODS } from '../kube/resource.ts'
import { withoutContent } from '../kube/slim.ts'
import { Store } from '../kube/store.ts'
import { isVersionOf, versionName } from '../sessions/runtime-version.ts'
import { mayReopen } from '../sessions/state.ts'
import type { OperatorEnv } from './env.ts'
import { audiencesOf } from './runtime/audience.ts'
import type { VersionedSpec } from './runtime/version.ts'

/** The Lease of a gateway that died is removed after so many of its durations. */
const DEAD_LEASE_DURATIONS = 10

type ClusterEnv = Env & Pick<OperatorEnv, 'kubernetes'>

/** The cluster as the operator sees it: watch-fed stores to read from, and a client to write with. */
export class Cluster {
  readonly client: KubeClient
  readonly events: EventRecorder
  readonly runtimes = new Store<AgentRuntime>({ audience: ({ spec }) => audiencesOf(spec) })
  /** `runtime`: all of one; `ended`: of those, the ones that are over and stay for people to read. */
  readonly sessions = new Store<AgentSession>({
    runtime: (session) => [runtimeKeyOf(session)],
    ended: (session) => (mayReopen(session) && !session.metadata.deletionTimestamp ? [runtimeKeyOf(session)] : []),
  })
  /** Session pods only, by the key of the session that their name and owner speak of. */
  readonly pods = new Store<Pod>({ session: (pod) => sessionKeyOf(pod) })
  readonly revisions = new Store<ControllerRevision<VersionedSpec>>({
    owner: (revision) => controllerUIDs(revision),
    audience: ({ data }) => audiencesOf(data),
  })
  /** Who must have been heard of before a session is closed. */
  readonly gateways: LiveHolders
  readonly #leases = new Store<Lease>()
  readonly #env: ClusterEnv

  constructor(env: ClusterEnv) {
    this.#env = env
    this.client = new KubeClient(env.kubernetes)
    this.gateways = new LiveHolders({
      env,
      transport: env.kubernetes,
      store: this.#leases,
      namespace: SYSTEM_NAMESPACE,
      labelSelector: GATEWAYS_SELECTOR,
      removeAfterDurations: DEAD_LEASE_DURATIONS,
    })
    this.events = new EventRecorder(env, this.client, { controller: 'carrel.dev/operator', instance: 'operator' })
  }

  /** Feeds the stores until the signal aborts; resolves once all have been complete. */
  async follow(signal: AbortSignal): Promise<void> {
    const { kubernetes: transport } = this.#env
    const shared = { env: this.#env, transport }
    void reflect({ ...shared, resource: AGENT_RUNTIMES, store: this.runtimes }, signal)
    void reflect({ ...shared, resource: AGENT_SESSIONS, store: this.sessions }, signal)
    void reflect({ ...shared, resource: PODS, store: this.pods, labelSelector: SESSION_UID_LABEL, transform: judgedPart }, signal)
    void reflect({ ...shared, resource: revisionsOfRuntimes, store: this.revisions, labelSelector: RUNTIME_LABEL }, signal)
    void reflect(
      { ...shared, resource: LEASES, store: this.#leases, namespace: SYSTEM_NAMESPACE, labelSelector: GATEWAYS_SELECTOR },
      signal,
    )
    await Promise.all([this.runtimes.synced, this.sessions.synced, this.pods.synced, this.revisions.synced])
  }

  /** The runtime that a session belongs to, unless it was deleted (and perhaps made anew under its name). */
  runtimeOf(session: AgentSession): AgentRuntime | undefined {
    const runtime = this.runtimes.get(session.metadata.namespace, session.spec.runtimeRef.name)
    return runtime?.metadata.uid === session.spec.runtimeRef.uid && !runtime.metadata.deletionTimestamp ? runtime : undefined
  }

  /** Of this very runtime, whoever claims to be one. */
  versionsOf(runtime: AgentRuntime): ControllerRevision<VersionedSpec>[] {
    return this.revisions.by('owner', runtime.metadata.uid!).filter((revision) => isVersionOf(revision, runtime))
  }

  versionOf(runtime: AgentRuntime, version: number): ControllerRevision<VersionedSpec> | undefined {
    const revision = this.revisions.get(runtime.metadata.namespace, versionName(runtime.metadata.name, version))
    return revision && isVersionOf(revision, runtime) ? revision : undefined
  }

  /** What the API server holds, not the cache: design rule 2. */
  async podsNow(session: AgentSession): Promise<Pod[]> {
    const { namespace, uid } = session.metadata
    const { items } = await this.client.list(PODS, { namespace: namespace!, labelSelector: `${SESSION_UID_LABEL}=${uid}` })
    return items
  }

  /** Deletes just this pod, by its UID: its name may belong to another by now. */
  async deletePod(pod: Pod): Promise<void> {
    if (pod.metadata.deletionTimestamp) return
    await this.client.delete(PODS, pod.metadata.namespace, pod.metadata.name, { uid: pod.metadata.uid! })
  }
}

export const revisionsOfRuntimes = CONTROLLER_REVISIONS as typeof CONTROLLER_REVISIONS & { _object?: ControllerRevision<VersionedSpec> }

/** A pod's session by its owner reference, which only its creator could write. */
function sessionKeyOf(pod: Pod): string[] {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller && reference.kind === AGENT_SESSIONS.kind)
  return owner ? [`${pod.metadata.namespace}/${owner.name}`] : []
}

export function runtimeKeyOf({ metadata, spec }: AgentSession): string {
  return `${metadata.namespace}/${spec.runtimeRef.name}`
}

function controllerUIDs({ metadata }: ControllerRevision): string[] {
  return (metadata.ownerReferences ?? []).filter(({ controller }) => controller === true).map(({ uid }) => uid)
}

/** Longest message of kubelet or scheduler that is kept of a pod. */
const LONGEST_KEPT = 1_000
/** Of a pod that starts, and of one that is made to go. */
const JUDGED_CONDITIONS = { PodScheduled: 'False', DisruptionTarget: 'True' } as Record<string, string>

/** All that a session is judged by; ten thousand of them stay small: of one that runs well, no more than its address. */
export function judgedPart(pod: Pod): Pod {
  const { phase, reason, message, podIP, containerStatuses, conditions } = pod.status ?? {}
  const telling = containerStatuses?.filter(({ state }) => state?.waiting ?? state?.terminated)
  const judged = conditions?.filter(({ type, status }) => JUDGED_CONDITIONS[type] === status)
  return {
    ...withoutContent(pod),
    status: {
      ...(phase ? { phase } : {}),
      ...(reason ? { reason } : {}),
      ...(message ? { message } : {}),
      ...(podIP ? { podIP } : {}),
      ...(telling?.length ? { containerStatuses: telling.map((container) => withShortMessage(container)) } : {}),
      ...(judged?.length ? { conditions: judged } : {}),
    },
  }
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

function withShortMessage(container: ContainerStatus): ContainerStatus {
  const { waiting } = container.state ?? {}
  if (!waiting?.message) return container
  return { ...container, state: { waiting: { ...waiting, message: waiting.message.slice(0, LONGEST_KEPT) } } }
}
