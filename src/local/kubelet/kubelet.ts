import { SESSION_UID_LABEL } from '../../crds/agent-session.ts'
import { sleep } from '../../env/clock.ts'
import type { Env } from '../../env/env.ts'
import { KubeClient } from '../../kube/client.ts'
import { enqueueOn, runController } from '../../kube/controller.ts'
import { EventRecorder } from '../../kube/events.ts'
import type { Pod } from '../../kube/objects.ts'
import { reflect } from '../../kube/reflector.ts'
import { PODS } from '../../kube/resource.ts'
import { Store } from '../../kube/store.ts'
import type { Transport } from '../../kube/transport.ts'
import { WorkQueue } from '../../kube/workqueue.ts'
import { registerNode } from './node.ts'
import type { ProcessHost } from './process-host.ts'
import { reconcilePod, writeStatus, type KubeletTools } from './reconcile.ts'
import { within } from './within.ts'
import { endOfPod } from './work.ts'
import { Works } from './works.ts'

/** How often sockets are looked at: it bounds how long an agent that evades the shim can be reached. Agents mostly listen at start. */
const LISTENER_CHECK_MS = { young: 100, later: 500 }
const YOUNG_MS = 10_000
/** Time that agents get to end by themselves when the kubelet is told to stop; all is over within 5 s. */
const SHUTDOWN_GRACE_MS = 3_000
const SHUTDOWN_STATUS_MS = 500
/** Copies of code directories run side by side. */
const WORKERS = 8

export interface KubeletOptions {
  /** The one node that pods are bound to. */
  nodeName: string
  /** AWS_REGION of agents. */
  region: string
  /** What a relative code directory is relative to. */
  workingDirectory: string
  /** Default: every 100 ms while an agent is younger than 10 s, else every 500 ms. */
  listenerCheckMs?: number
  /** Port on 127.0.0.1 at which an API server in another process reads logs. */
  logPort?: number
  /** Leaves pods alone that are not of a session. Default false. */
  onlySessions?: boolean
}

/**
 * A kubelet whose pods are processes of this machine, for development and tests. It binds every unbound pod to its node,
 * runs the code of those that name a code directory, writes their status, honours graceful deletion, and leaves no process
 * and no file of a pod that is over. It isolates sessions from each other's state, not from each other's malice.
 */
export class ProcessKubelet {
  readonly #env: Env & { kubernetes: Transport; host: ProcessHost }
  readonly #options: KubeletOptions
  readonly #pods = new Store<Pod>({ uid: (pod) => [pod.metadata.uid ?? ''] })
  readonly #queue: WorkQueue
  readonly #tools: KubeletTools

  constructor(env: Env & { kubernetes: Transport; host: ProcessHost }, options: KubeletOptions) {
    this.#env = env
    this.#options = options
    this.#queue = new WorkQueue(env)
    const client = new KubeClient(env.kubernetes)
    this.#tools = {
      env,
      client,
      events: new EventRecorder(env, client, { controller: 'carrel.dev/kubelet', instance: options.nodeName }),
      node: {
        name: options.nodeName,
        region: options.region,
        workingDirectory: options.workingDirectory,
        ...(options.logPort === undefined ? {} : { logPort: options.logPort }),
      },
      works: new Works(),
      wake: (uid) => this.#queue.add(uid),
    }
  }

  /**
   * Runs until the signal aborts; then ends every agent (SIGTERM, SIGKILL after 3 s) and resolves. What an earlier kubelet
   * of the same home left behind is ended first.
   */
  async run(signal: AbortSignal): Promise<void> {
    const leftovers = await this.#endLeftovers()
    const labelSelector = this.#options.onlySessions ? { labelSelector: SESSION_UID_LABEL } : {}
    void reflect({ env: this.#env, transport: this.#env.kubernetes, resource: PODS, store: this.#pods, ...labelSelector }, signal)
    await Promise.race([this.#pods.synced, aborted(signal)])
    if (signal.aborted) return
    await this.#forgetUnknown(leftovers)
    void registerNode(this.#tools)
    const unsubscribe = enqueueOn(this.#pods, this.#queue, (pod) => [pod.metadata.uid ?? ''])
    const reconcile = (uid: string) => reconcilePod(uid, this.#pods.by('uid', uid)[0], this.#tools)
    await Promise.all([
      runController({ env: this.#env, name: 'kubelet', queue: this.#queue, workers: WORKERS, reconcile }, signal),
      this.#watchListeners(signal),
    ])
    unsubscribe()
    await this.#shutDown()
  }

  podNamed(namespace: string, name: string): Pod | undefined {
    return this.#pods.get(namespace, name)
  }

  async #endLeftovers(): Promise<string[]> {
    const { host, log } = this.#env
    const leftovers = await host.leftovers()
    for (const uid of leftovers) {
      const processes = await host.processes(uid)
      if (processes.length > 0) log.warn({ podUID: uid, processes }, 'ending agents that an earlier run left behind')
      await host.signal(uid, 'SIGKILL')
      await host.cleanup(uid)
    }
    return leftovers
  }

  /** Logs stay as long as the pod's object does. */
  async #forgetUnknown(leftovers: readonly string[]): Promise<void> {
    for (const uid of leftovers) if (this.#pods.by('uid', uid).length === 0) await this.#env.host.forget(uid)
  }

  async #watchListeners(signal: AbortSignal): Promise<void> {
    const { clock, host, log } = this.#env
    for (; !signal.aborted; await sleep(clock, this.#listenerCheckMs(), signal)) {
      if (this.#tools.works.live().length === 0) continue
      try {
        for (const violation of await host.violations()) {
          this.#tools.works.violations.set(violation.podUID, violation)
          this.#queue.add(violation.podUID)
        }
      } catch (error) {
        log.error({ err: error }, 'listening sockets could not be read')
      }
    }
  }

  #listenerCheckMs(): number {
    const youngFromMs = this.#env.clock.now() - YOUNG_MS
    const isYoung = this.#tools.works.live().some(([, work]) => work.startedAtMs >= youngFromMs)
    return this.#options.listenerCheckMs ?? LISTENER_CHECK_MS[isYoung ? 'young' : 'later']
  }

  async #shutDown(): Promise<void> {
    const { clock, host } = this.#env
    const { works } = this.#tools
    const uids = works.live().map(([uid]) => uid)
    await Promise.all(uids.map((uid) => host.signal(uid, 'SIGTERM')))
    await within(clock, SHUTDOWN_GRACE_MS, Promise.all(uids.map((uid) => host.exited(uid))))
    await Promise.allSettled(uids.map((uid) => host.signal(uid, 'SIGKILL')))
    await Promise.allSettled(uids.map((uid) => host.cleanup(uid)))
    await within(clock, SHUTDOWN_STATUS_MS, Promise.allSettled(uids.map((uid) => this.#writeShutDown(uid))))
  }

  /** Best effort: the next start finds out by itself. */
  async #writeShutDown(uid: string): Promise<void> {
    const { works } = this.#tools
    const pod = this.#pods.by('uid', uid)[0]
    const work = works.get(uid)
    if (!pod || !work || !('startTimeMs' in work)) return
    const end = endOfPod(
      'NodeShutdown',
      'the installation was stopped; the next call opens a new pod',
      work.startTimeMs,
      this.#env.clock.now(),
    )
    works.set(uid, { step: 'ended', end })
    await writeStatus(pod, this.#tools)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
