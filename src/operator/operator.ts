import { OPEN_LEASE_MS } from '../activity/activity.ts'
import { enqueueOn, runController } from '../kube/controller.ts'
import { WorkQueue } from '../kube/workqueue.ts'
import { keyOf } from '../kube/store.ts'
import { Cluster } from './cluster.ts'
import type { OperatorEnv } from './env.ts'
import { Vigil } from './reaper/vigil.ts'
import { reconcileRuntime } from './runtime/reconcile.ts'
import { reconcileSession } from './session/reconcile.ts'
import type { OperatorSettings } from './settings.ts'

const SESSION_WORKERS = 16
const RUNTIME_WORKERS = 2
/** A list of the gateways that is older than this is read anew; the store's call comes within the rest of OPEN_LEASE_MS. */
const LONGEST_KNOWN_MS = OPEN_LEASE_MS - 1_000

/** All wiring of the operator in one place: what is watched, what it wakes, and who works. */
export class Operator {
  readonly #env: OperatorEnv
  readonly #settings: OperatorSettings
  /** As it sees it. */
  readonly cluster: Cluster
  readonly #runtimes: WorkQueue
  readonly #sessions: WorkQueue
  readonly #vigil: Vigil

  constructor(env: OperatorEnv, settings: OperatorSettings) {
    this.#env = env
    this.#settings = settings
    this.cluster = new Cluster(env)
    this.#runtimes = new WorkQueue(env)
    this.#sessions = new WorkQueue(env)
    this.#vigil = new Vigil(
      env,
      (sessionKey) => this.#sessions.add(sessionKey),
      () => this.#gateways(),
    )
  }

  /** True once its view of the cluster is complete and it works. */
  get ready(): boolean {
    const { runtimes, sessions, pods, revisions } = this.cluster
    return runtimes.hasSynced && sessions.hasSynced && pods.hasSynced && revisions.hasSynced
  }

  /** Follows and works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.follow(signal)
    await this.work(signal)
  }

  /**
   * Fills the stores and the queues until the signal aborts, and writes nothing; resolves once its view is complete. Who
   * waits to lead has this behind it when its turn comes.
   */
  async follow(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const cluster = this.cluster
    enqueueOn(cluster.runtimes, this.#runtimes)
    enqueueOn(cluster.runtimes, this.#sessions, (runtime) => cluster.sessions.by('runtime', keyOf(runtime)).map(keyOf))
    enqueueOn(cluster.revisions, this.#runtimes, (revision) => [
      `${revision.metadata.namespace}/${revision.metadata.ownerReferences?.[0]?.name}`,
    ])
    enqueueOn(cluster.revisions, this.#sessions, (revision) =>
      cluster.sessions.by('runtime', `${revision.metadata.namespace}/${revision.metadata.ownerReferences?.[0]?.name}`).map(keyOf),
    )
    enqueueOn(cluster.sessions, this.#sessions)
    enqueueOn(cluster.pods, this.#sessions, (pod) => {
      const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller)
      return owner ? [`${pod.metadata.namespace}/${owner.name}`] : []
    })
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([cluster.follow(signal), aborted])
    if (signal.aborted) return
    this.#env.log.info({ runtimes: cluster.runtimes.list().length, sessions: cluster.sessions.list().length }, 'operator ready')
  }

  /**
   * A gateway whose Lease is younger than what is known has not called for long: its first call asked the store, which holds
   * the session by that for OPEN_LEASE_MS.
   */
  async #gateways(): Promise<readonly string[] | undefined> {
    const { gateways } = this.cluster
    const knownForMs = this.#env.clock.monotonic() - (gateways.asOfMs ?? -Infinity)
    return knownForMs < LONGEST_KNOWN_MS || (await gateways.refresh()) ? gateways.live() : undefined
  }

  /** Works off what the queues hold until the signal aborts; after `follow`, in one process at a time. */
  async work(signal: AbortSignal): Promise<void> {
    const env = this.#env
    const cluster = this.cluster
    const tools = { cluster, env, settings: this.#settings, vigil: this.#vigil }
    await Promise.all([
      cluster.gateways.run(signal),
      runController(
        {
          env,
          name: 'agentruntime',
          queue: this.#runtimes,
          workers: RUNTIME_WORKERS,
          reconcile: (key) => reconcileRuntime(key, cluster, env, this.#settings),
        },
        signal,
      ),
      runController(
        { env, name: 'agentsession', queue: this.#sessions, workers: SESSION_WORKERS, reconcile: (key) => reconcileSession(key, tools) },
        signal,
      ),
    ])
    this.#vigil.stop()
    await cluster.events.flush()
  }
}
