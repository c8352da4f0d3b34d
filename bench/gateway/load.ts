/**
 * Adapter: the load generator, a process of its own. `saturate`: fixed connections, each with one request open at any time, for
 * a time that is measured after a warm-up. `alternate`: one request at a time, in turn directly and by the way that is measured, so
 * that what the way adds is found on the same machine in the same second.
 */
import { serveBench, tellBench, type Message } from '../runner/child.ts'
import { Exchange } from './exchange.ts'

export interface Way {
  host: string
  port: number
  /** Whole requests, sent one after the other and from the beginning again. In base64, as messages are JSON. */
  requests: string[]
}

export interface Saturate extends Message {
  kind: 'saturate'
  way: Way
  connections: number
  warmUpMs: number
  durationMs: number
}

export interface Alternate extends Message {
  kind: 'alternate'
  direct: Way
  way: Way
  durationMs: number
}

/** The measured time begins, or is over. What is counted in between has been asked and answered by then. */
export interface Mark extends Message {
  kind: 'begun'
}

export interface Saturated extends Message {
  kind: 'saturated'
  /** Answered with 200 in the measured time. */
  requests: number
  seconds: number
  latenciesMs: number[]
  failures: string[]
}

export interface Alternated extends Message {
  kind: 'alternated'
  directMs: number[]
  wayMs: number[]
  failures: string[]
}

const FAILURES_TOLD = 5

async function saturate({ way, connections, warmUpMs, durationMs }: Saturate): Promise<void> {
  const requests = bytesOf(way)
  const failures: string[] = []
  const latenciesMs: number[] = []
  const beginAtMs = performance.now() + warmUpMs
  const endAtMs = beginAtMs + durationMs
  let next = 0
  let isBegun = false
  const begin = (): void => {
    if (!isBegun) tellBench<Mark>({ kind: 'begun' })
    isBegun = true
  }
  const beginning = setTimeout(begin, warmUpMs)
  const worker = async (): Promise<void> => {
    const exchange = await Exchange.open(way.host, way.port)
    while (performance.now() < endAtMs && failures.length === 0) {
      const askedAtMs = performance.now()
      const { status } = await exchange.send(requests[next++ % requests.length]!)
      const answeredAtMs = performance.now()
      if (status !== 200) failures.push(`an answer with ${status}`)
      else if (answeredAtMs >= beginAtMs && answeredAtMs < endAtMs) latenciesMs.push(answeredAtMs - askedAtMs)
    }
    exchange.close()
  }
  await Promise.all(Array.from({ length: connections }, () => worker().catch((error: Error) => failures.push(error.message))))
  clearTimeout(beginning)
  begin() // calls that fail at once are over before it
  const seconds = durationMs / 1_000
  tellBench<Saturated>({
    kind: 'saturated',
    requests: latenciesMs.length,
    seconds,
    latenciesMs,
    failures: failures.slice(0, FAILURES_TOLD),
  })
}

async function alternate({ direct, way, durationMs }: Alternate): Promise<void> {
  const failures: string[] = []
  const sides = [direct, way].map((one) => ({ way: one, requests: bytesOf(one), ms: [] as number[] }))
  const endAtMs = performance.now() + durationMs
  try {
    const exchanges = [await Exchange.open(direct.host, direct.port), await Exchange.open(way.host, way.port)]
    for (let turn = 0; performance.now() < endAtMs && failures.length === 0; turn += 1) {
      for (const [index, { requests, ms }] of sides.entries()) {
        const askedAtMs = performance.now()
        const { status } = await exchanges[index]!.send(requests[turn % requests.length]!)
        if (status === 200) ms.push(performance.now() - askedAtMs)
        else failures.push(`an answer with ${status}`)
      }
    }
    for (const exchange of exchanges) exchange.close()
  } catch (error) {
    failures.push((error as Error).message)
  }
  tellBench<Alternated>({ kind: 'alternated', directMs: sides[0]!.ms, wayMs: sides[1]!.ms, failures })
}

const bytesOf = ({ requests }: Way): Buffer[] => requests.map((text) => Buffer.from(text, 'base64'))

serveBench(async (message) => {
  if (message.kind === 'saturate') await saturate(message as Saturate)
  if (message.kind === 'alternate') await alternate(message as Alternate)
})
tellBench({ kind: 'ready' })
