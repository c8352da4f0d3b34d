import { PHASES, type AgentSession } from '../crds/agent-session.ts'
import type { Clock } from '../env/clock.ts'
import type { ControllerObserver, ReconcileResult } from '../kube/controller.ts'
import type { Change, Store } from '../kube/store.ts'
import type { WorkQueue } from '../kube/workqueue.ts'
import { END_REASONS } from '../sessions/end-reason.ts'
import { Metrics, type MetricDefinition } from '../telemetry/metrics.ts'
import type { Meters } from './env.ts'

export const CONTROLLERS = ['agentruntime', 'agentsession', 'endedsessions'] as const
const RESULTS: readonly ReconcileResult[] = ['done', 'again', 'conflict', 'error']

export const OPERATOR_METRICS = {
  reconciles: {
    kind: 'counter',
    name: 'carrel_operator_reconciles_total',
    help: 'Reconciles by how they ended: "again" asks for another look later, "conflict" lost a compare-and-set and looks again at once, "error" is tried again.',
    labels: { controller: CONTROLLERS, result: RESULTS },
  },
  duration: {
    kind: 'histogram',
    name: 'carrel_operator_reconcile_duration_seconds',
    help: 'How long a reconcile took.',
    labels: { controller: CONTROLLERS },
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  depth: {
    kind: 'gauge',
    name: 'carrel_operator_workqueue_depth',
    help: 'Keys that wait to be worked on now.',
    labels: { controller: CONTROLLERS },
  },
  sessions: {
    kind: 'gauge',
    name: 'carrel_operator_sessions',
    help: 'Agent sessions by phase; one without a status counts as Pending.',
    labels: { phase: PHASES },
  },
  ended: {
    kind: 'counter',
    name: 'carrel_operator_sessions_ended_total',
    help: 'Incarnations of sessions that ended while this operator led, by status.endReason.',
    labels: { reason: END_REASONS },
  },
  podOpen: {
    kind: 'histogram',
    name: 'carrel_operator_pod_open_seconds',
    help: "From the making of a session's pod to its agent's first good ping.",
    buckets: [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 45, 60, 120],
  },
  leader: { kind: 'gauge', name: 'carrel_operator_leader', help: '1 while this operator leads, else 0.' },
  meterFailures: {
    kind: 'counter',
    name: 'carrel_operator_meter_read_failures_total',
    help: 'Readings of a meter that did not come; the next one makes up for it.',
  },
} as const satisfies Record<string, MetricDefinition>

/** What the operator counts. */
export class OperatorMetrics implements ControllerObserver {
  readonly #metrics: Metrics
  readonly #reconciles
  readonly #duration
  readonly #ended
  readonly #podOpen
  readonly #meterFailures

  /** `isLeader` is asked at each scrape. Throws when `metrics` has an operator already. */
  constructor(metrics: Metrics = new Metrics(), isLeader: () => boolean = () => true) {
    this.#metrics = metrics
    this.#reconciles = metrics.counter(OPERATOR_METRICS.reconciles)
    this.#duration = metrics.histogram(OPERATOR_METRICS.duration)
    this.#ended = metrics.counter(OPERATOR_METRICS.ended)
    this.#podOpen = metrics.histogram(OPERATOR_METRICS.podOpen)
    this.#meterFailures = metrics.counter(OPERATOR_METRICS.meterFailures)
    metrics.gauge(OPERATOR_METRICS.leader, () => [{ labels: {}, value: isLeader() ? 1 : 0 }])
  }

  /** What is read at each scrape. Once. */
  readsFrom(sessions: Store<AgentSession>, queues: Record<(typeof CONTROLLERS)[number], WorkQueue>): void {
    this.#metrics.gauge(OPERATOR_METRICS.depth, () =>
      CONTROLLERS.map((controller) => ({ labels: { controller }, value: queues[controller].length })),
    )
    this.#metrics.gauge(OPERATOR_METRICS.sessions, () =>
      sessions.list().map(({ status }) => ({ labels: { phase: status?.phase ?? 'Pending' }, value: 1 })),
    )
  }

  reconciled(controller: string, result: ReconcileResult, ms: number): void {
    this.#reconciles({ controller, result })
    this.#duration({ controller }, ms / 1000)
  }

  /** Of the one who leads, or several would count the same. */
  sessionChanged(change: Change<AgentSession>, { clock }: { clock: Clock }): void {
    if (change.type !== 'updated') return
    const [before, now] = [change.previous.status, change.object.status]
    if (now === undefined) return
    const isSame = before?.incarnation === now.incarnation
    if (now.endReason !== undefined && (!isSame || before?.endReason === undefined)) this.#ended({ reason: now.endReason })
    if (now.phase === 'Running' && !(isSame && before?.phase === 'Running') && now.startedAt !== undefined) {
      this.#podOpen({}, Math.max(0, clock.now() - Date.parse(now.startedAt)) / 1000)
    }
  }

  /** The same meters, their failures counted. */
  counted(meters: Meters): Meters {
    return {
      acknowledge: (podUID) => meters.acknowledge(podUID),
      read: async (pod) => {
        try {
          return await meters.read(pod)
        } catch (error) {
          this.#meterFailures({})
          throw error
        }
      },
    }
  }

  exposition(): Promise<{ contentType: string; text: string }> {
    return this.#metrics.exposition()
  }
}
