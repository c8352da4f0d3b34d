/** What a gateway keeps for each owner that has called it: verdicts on tokens, rates, and whatever else. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { eventually } from '../../test/kit/eventually.ts'
import type { Bench, BenchSettings, Measured, Metric, Prepared } from '../runner/bench.ts'
import { Exchange } from './exchange.ts'
import { cpuSecondsOf } from './processor-time.ts'
import { serveAgent, type Served } from './served.ts'

const OWNERS = 10_000
const METRICS: readonly Metric[] = [
  { name: `heap for ${OWNERS} owners`, unit: 'MiB', better: 'less' },
  { name: `resident memory for ${OWNERS} owners`, unit: 'MiB', better: 'less' },
  { name: 'CPU of the first call of an owner', unit: 'µs', better: 'less' },
]
/** Fewer than caches hold, so that the owners after them push nothing out but these. */
const WARMING = 500
const CONNECTIONS = 16
const MIB = 1024 * 1024
const WITHIN_MS = 30_000
/** The runtime has all the sessions that it may have, so that a new owner is known, allowed, and then refused. */
const REFUSED = 402

export const owners: Bench = {
  name: 'gateway/owners',
  about: `What a gateway keeps of ${OWNERS} owners with a token of their own each, by its heap after garbage collection.`,
  metrics: METRICS,
  prepare,
}

async function prepare(settings: BenchSettings): Promise<Prepared> {
  return {
    cases: [{ name: 'gateway, JWT', api: 'embedded', role: 'ours', measure: () => measure(settings) }],
    notes: [
      `Each owner calls once, with a token of its own (ES256), and is refused with ${REFUSED} after its token was judged, because an agent process for each would not fit a machine. Every round has a gateway of its own, warmed by ${WARMING} calls of others.`,
      'What an open session adds, with its pod, is in kube/list-and-watch (gateway).',
    ],
    stop: async () => {},
  }
}

async function measure(settings: BenchSettings): Promise<Measured> {
  const served = await serveAgent({ reportsHeap: true })
  try {
    await callAll(served, await served.strangers(WARMING))
    const requests = await served.strangers(OWNERS)
    settings.say(`gateway/owners: ${OWNERS} tokens are signed`)
    const before = { ...(await heapOf(served)), cpuSeconds: cpuSecondsOf([served.gateway.pid]) }
    await callAll(served, requests)
    const cpuSeconds = cpuSecondsOf([served.gateway.pid]) - before.cpuSeconds
    const after = await heapOf(served)
    const [heap, resident, cpu] = METRICS.map(({ name }) => name) as [string, string, string]
    return {
      sample: {
        [heap]: (after.heapBytes - before.heapBytes) / MIB,
        [resident]: (after.residentBytes - before.residentBytes) / MIB,
        [cpu]: (cpuSeconds / OWNERS) * 1e6,
      },
    }
  } finally {
    await served.stop()
  }
}

async function callAll({ gateway }: Served, requests: Buffer[]): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    const exchange = await Exchange.open('127.0.0.1', gateway.port)
    while (next < requests.length) {
      const { status } = await exchange.send(requests[next++]!)
      if (status !== REFUSED) throw new Error(`an owner over the limit was answered with ${status}, not ${REFUSED}`)
    }
    exchange.close()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
}

async function heapOf({ gateway, heapFile }: Served): Promise<{ heapBytes: number; residentBytes: number }> {
  rmSync(heapFile, { force: true })
  process.kill(gateway.pid, 'SIGUSR2')
  await eventually(() => existsSync(heapFile), { withinMs: WITHIN_MS, because: 'the gateway says what it keeps' })
  return JSON.parse(readFileSync(heapFile, 'utf8')) as { heapBytes: number; residentBytes: number }
}
