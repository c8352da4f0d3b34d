import { OPEN_LEASE_MS } from '../activity/activity.ts'
import { enqueueOn, runController } from '../kube/controller.ts'
import { WorkQueue } from '../kube/workqueue.ts'
import { keyOf } from '../kube/store.ts'
import { mayReopen } from '../sessions/state.ts'
import { Cluster, runtimeKeyOf } from './cluster.ts'
import type { OperatorEnv } from './env.ts'
import type { OperatorMetrics } from './metrics.ts'
import { PASS_AFTER_MS, trimEnded } from './reaper/ended.ts'
import { Vigil } from './reaper/vigil.ts'
import { ProviderChecks } from './runtime/provider-checks.ts'
import { reconcileRuntime } from './runtime/reconcile.ts'
import { touchedBy } from './runtime/shared-audience.ts'
import { reconcileSession } from './session/reconcile.ts'
import type { OperatorSettings } from './settings.ts'
import { UsageReadings } from './usage/readings.ts'

const SESSION_WORKERS = 16
const RUNTIME_WORKERS = 2
/** A list of the gateways that is older than this is read anew; the store's call comes within the rest of OPEN_LEASE_MS. */
const LONGEST_KNOWN_MS = OPEN_LEASE_MS - 1_000

/** All wiring of the operator in one place: what is watched, what it wakes, and who works. */
export class Operator {
  readonly #env: OperatorEnv
  readonly #settings: OperatorSettings
  readonly #metrics: OperatorMetrics | undefined
  /** As it sees it. */
  readonly cluster: Cluster
  readonly #runtimes: WorkQueue
  readonly #sessions: WorkQueue
  /** Runtimes whose ended sessions are to be counted. */
  readonly #ended: WorkQueue
  readonly #providers: ProviderChecks
  readonly #vigil: Vigil
  readonly #readings: UsageReadings

  constructor(env: OperatorEnv, settings: OperatorSettings, metrics?: OperatorMetrics) {
    this.#env = env
    this.#settings = settings
    this.#metrics = metrics
    this.cluster = new Cluster(env)
    this.#runtimes = new WorkQueue(env)
    this.#sessions = new WorkQueue(env)
    this.#ended = new WorkQueue(env)
    this.#providers = new ProviderChecks(env, (runtimeKey) => this.#runtimes.add(runtimeKey))
    this.#vigil = new Vigil(
      env,
      (sessionKey) => this.#sessions.add(sessionKey),
      () => this.#gateways(),
    )
    const measuring = metrics ? { ...env, meters: metrics.counted(env.meters) } : env
    this.#readings = new UsageReadings(measuring, (sessionKey) => this.#sessions.add(sessionKey))
    metrics?.readsFrom(this.cluster.sessions, { agentruntime: this.#runtimes, agentsession: this.#sessions, endedsessions: this.#ended })
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
    enqueueOn(cluster.runtimes, this.#ended)
    cluster.sessions.subscribe(({ object }) => mayReopen(object) && this.#ended.addAfter(runtimeKeyOf(object), PASS_AFTER_MS))
    enqueueOn(cluster.pods, this.#sessions, (pod) => {
      const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller)
      return owner ? [`${pod.metadata.namespace}/${owner.name}`] : []
    })
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([cluster.follow(signal), aborted])
    if (signal.aborted) return
    // Not of the first list: each of it is looked at anyway.
    cluster.runtimes.subscribe((change) => touchedBy(change, cluster).forEach((runtimeKey) => this.#runtimes.add(runtimeKey)))
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
    const observer = this.#metrics
    const uncount = observer && cluster.sessions.subscribe((change) => observer.sessionChanged(change, env))
    const tools = { cluster, env, settings: this.#settings, vigil: this.#vigil, readings: this.#readings, providers: this.#providers }
    await Promise.all([
      cluster.gateways.run(signal),
      this.#providers.run(signal),
      runController({ env, observer, name: 'endedsessions', queue: this.#ended, reconcile: (key) => trimEnded(key, tools) }, signal),
      runController(
        {
          env,
          observer,
          name: 'agentruntime',
          queue: this.#runtimes,
          workers: RUNTIME_WORKERS,
          reconcile: (key) => reconcileRuntime(key, tools),
        },
        signal,
      ),
      runController(
        {
          env,
          observer,
          name: 'agentsession',
          queue: this.#sessions,
          workers: SESSION_WORKERS,
          reconcile: (key) => reconcileSession(key, tools),
        },
        signal,
      ),
    ])
    uncount?.()
    this.#vigil.stop()
    this.#readings.stop()
    await cluster.events.flush()
  }
}
