/** What the gateway costs and adds, beside a direct call of the same agent and nginx as a plain reverse proxy. */
import { join } from 'node:path'
import { prepareNginx } from '../../scripts/rings/nginx.ts'
import type { Bench, BenchSettings, Case, Measured, Metric, Prepared } from '../runner/bench.ts'
import { Child } from '../runner/child.ts'
import type { Alternate, Alternated, Mark, Saturate, Saturated } from './load.ts'
import { cpuSecondsOf } from './processor-time.ts'
import { payloadOf } from './payload.ts'
import { quantile } from './quantile.ts'
import { serveAgent, type Served } from './served.ts'

const METRICS: readonly Metric[] = [
  { name: 'requests per CPU-second', unit: '1/s', better: 'more' },
  { name: 'CPU per request', unit: 'µs', better: 'less' },
  { name: 'requests per second', unit: '1/s', better: 'more' },
  { name: 'latency when saturated, p50', unit: 'ms', better: 'less' },
  { name: 'latency when saturated, p99', unit: 'ms', better: 'less' },
  { name: 'latency alone, p50', unit: 'ms', better: 'less' },
  { name: 'latency alone, p99', unit: 'ms', better: 'less' },
  { name: 'added latency, p50', unit: 'ms', better: 'less' },
  { name: 'added latency, p99', unit: 'ms', better: 'less' },
]
const CONNECTIONS = 16
const LONGEST_WARM_UP_MS = 1_000
/** Of the time of a round, spent on one call at a time. */
const ALONE_SHARE = 0.4
const PATIENCE_MS = 60_000

type WayName = 'sigv4' | 'jwt' | 'direct' | 'nginx'

export const throughputs: readonly Bench[] = [
  throughput('gateway/1-kb', 1_024, 'a payload of 1 KiB each way'),
  throughput('gateway/64-kb', 65_536, 'a payload of 64 KiB each way'),
]

function throughput(name: string, payloadBytes: number, what: string): Bench {
  const about = `Calls of one open session, ${what}: through the gateway with all its duties, directly, and through nginx.`
  return { name, about, metrics: METRICS, prepare: (settings) => prepare(settings, payloadBytes) }
}

async function prepare(settings: BenchSettings, payloadBytes: number): Promise<Prepared> {
  const { seconds } = settings
  const notes = [
    `${CONNECTIONS} kept connections for ${seconds} s after ${warmUpMs(seconds) / 1_000} s of warm-up, then ${Number((seconds * ALONE_SHARE).toFixed(1))} s of one call at a time, in turn directly and by the way in question: "alone" and "added" are of these.`,
    "CPU is that of the gateway's process (of nginx: of its one worker) alone, in all its threads. Load generator, agent, API server and operator share the machine with it.",
    'Gateway: signature over the hash of the body (or token, with its verdict), rights, limits (raised), access log to a file, activity. nginx: an access log of the same kind, no authentication.',
  ]
  const served = await serveAgent({ nginx: settings.nginx ? nginxOrNote(notes, settings) : undefined })
  const load = new Child(join(import.meta.dirname, 'load.ts'), [])
  const measured = (way: WayName, pids: number[]) => () => measure(load, served, way, pids, { payloadBytes, seconds })
  const caseOf = (name: string, role: Case['role'], way: WayName, pids: number[]): Case => ({
    name,
    api: 'embedded',
    role,
    measure: measured(way, pids),
  })
  const { gateway, nginx } = served
  return {
    cases: [
      caseOf('gateway, SigV4', 'ours', 'sigv4', [gateway.pid]),
      caseOf('gateway, JWT', 'ours', 'jwt', [gateway.pid]),
      ...(nginx ? [caseOf('nginx', 'peer', 'nginx', [nginx.pid])] : []),
      caseOf('direct', 'floor', 'direct', []),
    ],
    notes,
    async stop() {
      await load.stop()
      await served.stop()
    },
  }
}

function nginxOrNote(notes: string[], settings: BenchSettings): string | undefined {
  try {
    return prepareNginx()
  } catch (error) {
    const why = `nginx was not measured: ${(error as Error).message}`
    settings.say(why)
    notes.push(why)
    return undefined
  }
}

const warmUpMs = (seconds: number): number => Math.min(LONGEST_WARM_UP_MS, seconds * 1_000)

interface Size {
  payloadBytes: number
  seconds: number
}

/** One round of one way. */
export async function measure(
  load: Child,
  served: Pick<Served, 'ways'>,
  way: WayName,
  pids: number[],
  { payloadBytes, seconds }: Size,
): Promise<Measured> {
  const ways = await served.ways(payloadOf(payloadBytes))
  const durationMs = seconds * 1_000
  load.send({ kind: 'saturate', way: ways[way], connections: CONNECTIONS, warmUpMs: warmUpMs(seconds), durationMs } as Saturate)
  await load.hear<Mark>('begun', PATIENCE_MS + durationMs)
  const before = cpuSecondsOf(pids)
  const saturated = await load.hear<Saturated>('saturated', PATIENCE_MS + durationMs)
  const cpuSeconds = cpuSecondsOf(pids) - before
  refuseFailures(way, saturated.failures)
  const { requests, latenciesMs } = saturated

  load.send({ kind: 'alternate', direct: ways.direct, way: ways[way], durationMs: durationMs * ALONE_SHARE } as Alternate)
  const { directMs, wayMs, failures } = await load.hear<Alternated>('alternated', PATIENCE_MS + durationMs)
  refuseFailures(way, failures)
  const added = (share: number): number => quantile(wayMs, share) - quantile(directMs, share)
  return {
    sample: {
      ...(pids.length === 0 ? {} : { 'requests per CPU-second': requests / cpuSeconds, 'CPU per request': (cpuSeconds / requests) * 1e6 }),
      'requests per second': requests / saturated.seconds,
      'latency when saturated, p50': quantile(latenciesMs, 0.5),
      'latency when saturated, p99': quantile(latenciesMs, 0.99),
      'latency alone, p50': quantile(wayMs, 0.5),
      'latency alone, p99': quantile(wayMs, 0.99),
      ...(pids.length === 0 ? {} : { 'added latency, p50': added(0.5), 'added latency, p99': added(0.99) }),
    },
  }
}

/** Numbers of calls that fail would look good. */
function refuseFailures(way: WayName, failures: readonly string[]): void {
  if (failures.length > 0) throw new Error(`${way}: every call must be answered with 200, and there was ${failures.join(', ')}`)
}
