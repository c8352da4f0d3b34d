/** Adapter: what the proof of a pod costs each new connection to an agent. */
import { createServer } from 'node:http'
import { systemRandom } from '../../src/env/system.ts'
import { Pools } from '../../src/gateway/proxy/pools.ts'
import { meterProof } from '../../src/gateway/proxy/prove.ts'
import type { UpstreamPod } from '../../src/gateway/upstream.ts'
import { startShippedMeter } from '../../test/kit/shipped-meter.ts'
import type { Bench, BenchSettings, Case, Measured, Metric, Prepared } from '../runner/bench.ts'
import { cpuSecondsOf } from './processor-time.ts'
import { quantile } from './quantile.ts'

const METRICS: readonly Metric[] = [
  { name: 'call on a new connection, p50', unit: 'ms', better: 'less' },
  { name: 'call on a new connection, p99', unit: 'ms', better: 'less' },
  { name: 'CPU of the meter per proof', unit: 'µs', better: 'less' },
]
const WARM_UP_CALLS = 200
const SECRET = 'a secret for a bench, long enough'
const POD = { uid: 'bench-pod', sessionUID: 'bench-session', address: '127.98.0.1' }

export const connections: Bench = {
  name: 'gateway/connections',
  about: 'A call that needs a new connection to its agent: proven by the meter beside it, and not proven.',
  metrics: METRICS,
  prepare,
}

async function prepare(settings: BenchSettings): Promise<Prepared> {
  const agent = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { connection: 'close' }).end('{}'))
  })
  await new Promise<void>((resolve) => agent.listen(0, POD.address, resolve))
  const pod = { ...POD, port: (agent.address() as { port: number }).port }
  const meter = await startShippedMeter(pod, SECRET)
  const proven = new Pools(meterProof({ random: systemRandom, secret: SECRET }))
  const unproven = new Pools('none')
  const caseOf = (name: string, role: Case['role'], pools: Pools, meterPid?: number): Case => ({
    name,
    api: 'no',
    role,
    measure: () => measure(pools, pod, settings.seconds, meterPid),
  })
  return {
    cases: [caseOf('proven by the meter', 'ours', proven, meter.pid), caseOf('not proven', 'floor', unproven)],
    notes: [
      `One call at a time for ${settings.seconds} s, after ${WARM_UP_CALLS} to warm up; the agent closes each connection. Gateway's pools and agent are one process, the meter another: the difference is a connection to the meter, its answer, and two hashes on each side.`,
      'A session that is called at least once a second keeps its connection, and pays for no proof.',
    ],
    async stop() {
      await Promise.all([proven.close(), unproven.close(), meter.stop()])
      agent.closeAllConnections()
      agent.close()
    },
  }
}

async function measure(pools: Pools, pod: UpstreamPod, seconds: number, meterPid: number | undefined): Promise<Measured> {
  for (let n = 0; n < WARM_UP_CALLS; n += 1) await call(pools, pod)
  const cpuBefore = meterPid === undefined ? 0 : cpuSecondsOf([meterPid])
  const tookMs: number[] = []
  for (const endsAtMs = performance.now() + seconds * 1_000; performance.now() < endsAtMs;) {
    const beganAtMs = performance.now()
    await call(pools, pod)
    tookMs.push(performance.now() - beganAtMs)
  }
  const [p50, p99, cpu] = METRICS.map(({ name }) => name) as [string, string, string]
  const ofMeter = meterPid === undefined ? {} : { [cpu]: ((cpuSecondsOf([meterPid]) - cpuBefore) / tookMs.length) * 1e6 }
  return { sample: { [p50]: quantile(tookMs, 0.5), [p99]: quantile(tookMs, 0.99), ...ofMeter } }
}

async function call(pools: Pools, pod: UpstreamPod): Promise<void> {
  const { statusCode, body } = await pools.of(pod).request({ method: 'POST', path: '/invocations', body: '{}' })
  await body.dump()
  if (statusCode !== 200) throw new Error(`the agent answered ${statusCode}`)
}
