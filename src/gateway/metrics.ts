import { Metrics, type MetricDefinition } from '../telemetry/metrics.ts'
import { CATALOGUE } from './errors.ts'
import { UNPROVEN, type Unproven } from './upstream.ts'

/** What a request was for; `Unknown` when its target could not be read. */
export const OPERATIONS = [
  'InvokeAgentRuntime',
  'StopRuntimeSession',
  'GetProtectedResource',
  'GetActivity',
  'GetMetrics',
  'GetHealth',
  'Unknown',
] as const
export type Operation = (typeof OPERATIONS)[number]

/** Which limit refused something: the fields of spec.limits, and those of the installation. */
export const LIMITS = [
  'sessions',
  'sessionsPerOwner',
  'newSessionsPerSecond',
  'callsPerSecondPerOwner',
  'connectionsPerAddress',
  'spooledBytes',
] as const
export type Limit = (typeof LIMITS)[number]

/** How a call says who calls; `none` when it does not. */
export const AUTHENTICATIONS = ['sigv4', 'serviceaccount', 'jwt', 'none'] as const
export type Authentication = (typeof AUTHENTICATIONS)[number]

/** `credentials`: not recognised; `rights`: recognised, and may not; `unavailable`: nobody could be asked. */
export const REFUSALS = ['credentials', 'rights', 'unavailable'] as const
export type Refusal = (typeof REFUSALS)[number]

/** The code of a call whose caller left before it was answered. */
const NO_ANSWER = 'none'
const CODES = ['200', ...new Set(Object.values(CATALOGUE).map(({ status }) => String(status))), '503', NO_ANSWER]

export const GATEWAY_METRICS = {
  requests: {
    kind: 'counter',
    name: 'carrel_gateway_requests_total',
    help: 'Requests that were answered, by status; "none" when the caller left before. An agent\'s own status is told as 200 or 424.',
    labels: { operation: OPERATIONS, code: CODES },
  },
  duration: {
    kind: 'histogram',
    name: 'carrel_gateway_request_duration_seconds',
    help: 'From the head of a request to the last byte of its answer.',
    labels: { operation: OPERATIONS },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900],
  },
  inFlight: { kind: 'gauge', name: 'carrel_gateway_requests_in_flight', help: 'Requests that are open now.' },
  sessionsOpened: {
    kind: 'counter',
    name: 'carrel_gateway_sessions_opened_total',
    help: 'Sessions that this gateway created, or reopened after their end.',
    labels: { how: ['created', 'reopened'] },
  },
  openWait: {
    kind: 'histogram',
    name: 'carrel_gateway_open_wait_seconds',
    help: 'How long calls that met a session without a ready pod waited until it answered.',
    buckets: [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 45, 60],
  },
  authFailures: {
    kind: 'counter',
    name: 'carrel_gateway_auth_failures_total',
    help: 'Calls that were refused for who sent them.',
    labels: { method: AUTHENTICATIONS, reason: REFUSALS },
  },
  limited: {
    kind: 'counter',
    name: 'carrel_gateway_limited_total',
    help: 'Refusals by a limit: calls, or for connectionsPerAddress connections.',
    labels: { limit: LIMITS },
  },
  spooled: {
    kind: 'gauge',
    name: 'carrel_gateway_spooled_bytes',
    help: 'Payloads of signed calls that are held now.',
    labels: { place: ['disk', 'memory'] },
  },
  proofs: {
    kind: 'counter',
    name: 'carrel_gateway_proofs_total',
    help: 'Proofs that pods were asked for, one for each new connection. Without "proven" nothing was sent: another pod was at the address, its meter did not answer, or what answered was no meter.',
    labels: { outcome: ['proven', ...UNPROVEN] },
  },
  upstream: { kind: 'gauge', name: 'carrel_gateway_upstream_connections', help: 'Connections to agents that are open now.' },
} as const satisfies Record<string, MetricDefinition>

/** Whoever enforces a limit tells of each refusal. */
export interface LimitObserver {
  limited(limit: Limit): void
}

/** What the gateway counts. */
export class GatewayMetrics implements LimitObserver {
  readonly #metrics: Metrics
  readonly #requests
  readonly #duration
  readonly #inFlight
  readonly #sessionsOpened
  readonly #openWait
  readonly #authFailures
  readonly #limited
  readonly #proofs

  /** Throws when `metrics` has a gateway already. */
  constructor(metrics: Metrics = new Metrics()) {
    this.#metrics = metrics
    this.#requests = metrics.counter(GATEWAY_METRICS.requests)
    this.#duration = metrics.histogram(GATEWAY_METRICS.duration)
    this.#inFlight = metrics.level(GATEWAY_METRICS.inFlight)
    this.#sessionsOpened = metrics.counter(GATEWAY_METRICS.sessionsOpened)
    this.#openWait = metrics.histogram(GATEWAY_METRICS.openWait)
    this.#authFailures = metrics.counter(GATEWAY_METRICS.authFailures)
    this.#limited = metrics.counter(GATEWAY_METRICS.limited)
    this.#proofs = metrics.counter(GATEWAY_METRICS.proofs)
  }

  /** What is read when somebody asks. Once. */
  readsFrom(sources: { spooled: { diskBytes: number; memoryBytes: number }; upstream: { connections: number } }): void {
    this.#metrics.gauge(GATEWAY_METRICS.spooled, () => [
      { labels: { place: 'disk' }, value: sources.spooled.diskBytes },
      { labels: { place: 'memory' }, value: sources.spooled.memoryBytes },
    ])
    this.#metrics.gauge(GATEWAY_METRICS.upstream, () => [{ labels: {}, value: sources.upstream.connections }])
  }

  requestBegan(): void {
    this.#inFlight({}, 1)
  }

  /** `status` undefined: the caller left before it was answered. */
  requestEnded({ operation, status, ms }: { operation: Operation; status: number | undefined; ms: number }): void {
    this.#inFlight({}, -1)
    this.#requests({ operation, code: status === undefined ? NO_ANSWER : isSuccess(status) ? '200' : String(status) })
    this.#duration({ operation }, ms / 1000)
  }

  sessionOpened(how: 'created' | 'reopened'): void {
    this.#sessionsOpened({ how })
  }

  openWaited(ms: number): void {
    this.#openWait({}, ms / 1000)
  }

  authenticationFailed(method: Authentication, reason: Refusal): void {
    this.#authFailures({ method, reason })
  }

  limited(limit: Limit): void {
    this.#limited({ limit })
  }

  proved(outcome: 'proven' | Unproven): void {
    this.#proofs({ outcome })
  }

  exposition(): Promise<{ contentType: string; text: string }> {
    return this.#metrics.exposition()
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
