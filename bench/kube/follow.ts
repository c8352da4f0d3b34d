/** Adapter: a process that does nothing but follow sessions and pods, one way, and says what that took. */
import { serveBench, tellBench, type Message } from '../runner/child.ts'
import type { Follower } from './followers/follower.ts'
import { StallWatch, type Stall } from './stall.ts'

/** Wait for `changes` changes, from the first one that is seen. */
export type Watch = { kind: 'watch'; changes: number }
export type Synced = {
  kind: 'synced'
  syncedMs: number
  cpuMs: number
  keptBytes: number
  peakBytes: number
  objects: number
  stall: Stall
}
export type Watching = { kind: 'watching' }
export type Watched = { kind: 'watched'; seconds: number; cpuMs: number; stall: Stall }

const [way, kubeconfig] = process.argv.slice(2)
const follower = await follow(way!)
let seen = 0
let firstAtMs = 0
let wanted: { changes: number; resolve: () => void } | undefined

const stalls = new StallWatch()
const before = await keptBytes()
stalls.take()
const startedAtMs = performance.now()
const cpuBefore = process.cpuUsage()
const objects = await follower.start(kubeconfig!, onChange)
const syncedMs = performance.now() - startedAtMs
const cpuMs = cpuSince(cpuBefore)
const stall = stalls.take()
const peakBytes = process.resourceUsage().maxRSS * 1024
const kept = (await keptBytes()) - before
tellBench<Synced>({ kind: 'synced', syncedMs, cpuMs, keptBytes: kept, peakBytes, objects: objects(), stall })
serveBench((message) => watch(message as Watch))

async function follow(name: string): Promise<Follower> {
  switch (name) {
    case 'gateway':
      return (await import('./followers/gateway.ts')).gateway
    case 'operator':
      return (await import('./followers/operator.ts')).operator
    case 'informer':
      return (await import('./followers/informer.ts')).informer
    case 'raw':
      return (await import('./followers/raw.ts')).raw
    default:
      throw new Error(`no follower is called ${name}`)
  }
}

async function watch({ changes }: Watch & Message): Promise<void> {
  seen = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  wanted = { changes, resolve }
  stalls.take()
  const cpuAtStart = process.cpuUsage()
  tellBench<Watching>({ kind: 'watching' })
  await promise
  tellBench<Watched>({
    kind: 'watched',
    seconds: (performance.now() - firstAtMs) / 1000,
    cpuMs: cpuSince(cpuAtStart),
    stall: stalls.take(),
  })
}

function onChange(): void {
  if (wanted === undefined) return
  if (seen === 0) firstAtMs = performance.now()
  seen += 1
  if (seen >= wanted.changes) wanted.resolve()
}

function cpuSince(earlier: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(earlier)
  return (user + system) / 1000
}

/** Of the heap and beside it, once everything that nobody needs is gone. */
async function keptBytes(): Promise<number> {
  for (let times = 0; times < 3; times += 1) {
    global.gc!()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
