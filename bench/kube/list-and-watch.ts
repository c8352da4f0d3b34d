/** Many sessions and pods, listed and watched through the reflectors and stores of gateway and operator. */
import { join } from 'node:path'
import type { Bench, BenchSettings, Case, Measured, Metric, Prepared } from '../runner/bench.ts'
import { Child } from '../runner/child.ts'
import { openApi, type BenchApi } from './apis.ts'
import type { Synced, Watch, Watched } from './follow.ts'
import type { Change, Seed, Written } from './writer.ts'

const LIST_WITHIN_MS = 300_000
const WATCH_WITHIN_MS = 300_000
const SEED_WITHIN_MS = 900_000

const METRICS: readonly Metric[] = [
  { name: 'time to synced', unit: 'ms', better: 'less' },
  { name: 'list CPU', unit: 'ms', better: 'less' },
  { name: 'list: longest stall (monitor)', unit: 'ms', better: 'less', target: 50 },
  { name: 'list: longest stall (ticker)', unit: 'ms', better: 'less', target: 50 },
  { name: 'list: longest stall (own CPU)', unit: 'ms', better: 'less', target: 50 },
  { name: 'heap kept', unit: 'bytes per object', better: 'less', target: 2048 },
  { name: 'peak memory', unit: 'MiB', better: 'less' },
  { name: 'watch', unit: 'events/s', better: 'more' },
  { name: 'watch CPU', unit: 'µs per event', better: 'less' },
  { name: 'watch: longest stall (monitor)', unit: 'ms', better: 'less', target: 50 },
  { name: 'watch: longest stall (ticker)', unit: 'ms', better: 'less', target: 50 },
  { name: 'watch: longest stall (own CPU)', unit: 'ms', better: 'less', target: 50 },
]

const WAYS: readonly { name: string; way: string; role: Case['role'] }[] = [
  { name: 'gateway', way: 'gateway', role: 'ours' },
  { name: 'operator', way: 'operator', role: 'ours' },
  { name: 'client-node informer', way: 'informer', role: 'peer' },
  { name: 'undici + JSON.parse', way: 'raw', role: 'floor' },
]

export const listAndWatch: Bench = {
  name: 'kube/list-and-watch',
  about:
    'AgentSessions and session pods, followed by a process that does nothing else: the list until everything is held, then changes that another process makes.',
  metrics: METRICS,
  prepare,
}

async function prepare(settings: BenchSettings): Promise<Prepared> {
  const open: { stop(): Promise<void> }[] = []
  const stop = async (): Promise<void> => {
    for (const one of open.toReversed()) await one.stop()
  }
  const cases: Case[] = []
  const notes = [
    `${settings.objects} sessions and ${settings.objects} pods, all with the status of a running one; ${settings.changes} changes, half of sessions, half of pods. The API server and the process that changes share the machine with what is measured.`,
    'The floor keeps nothing and projects nothing. Events per second are bounded by the process that changes; the CPU per event says what a follower could take.',
  ]
  try {
    for (const name of settings.apis) {
      const api = await openApi(name)
      open.push(api)
      const writer = new Child(join(import.meta.dirname, 'writer.ts'), [api.kubeconfig])
      open.push(writer)
      settings.say(`making ${settings.objects} sessions and pods on the ${name} API`)
      writer.send({ kind: 'seed', objects: settings.objects } as Seed)
      const { bytesOfSession, bytesOfPod, seconds } = await writer.hear<Written>('written', SEED_WITHIN_MS)
      notes.push(`${name}: a session is ${bytesOfSession} bytes of JSON, a pod ${bytesOfPod}; all were made in ${Math.round(seconds)} s.`)
      for (const { name: title, way, role } of WAYS)
        cases.push({ name: title, api: name, role, measure: () => measure(way, api, writer, settings) })
    }
    return { cases, notes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function measure(way: string, api: BenchApi, writer: Child, { objects, changes }: BenchSettings): Promise<Measured> {
  const follower = new Child(join(import.meta.dirname, 'follow.ts'), [way, api.kubeconfig], { collects: true })
  try {
    const synced = await follower.hear<Synced>('synced', LIST_WITHIN_MS)
    if (synced.objects !== 2 * objects) throw new Error(`${way} holds ${synced.objects} objects of ${2 * objects}`)
    follower.send({ kind: 'watch', changes } as Watch)
    await follower.hear('watching', WATCH_WITHIN_MS)
    writer.send({ kind: 'change', changes } as Change)
    const watched = await follower.hear<Watched>('watched', WATCH_WITHIN_MS)
    await writer.hear<Written>('written', WATCH_WITHIN_MS)
    return { sample: sampleOf(synced, watched, changes) }
  } finally {
    await follower.stop()
  }
}

function sampleOf(synced: Synced, watched: Watched, changes: number): Measured['sample'] {
  return {
    'time to synced': synced.syncedMs,
    'list CPU': synced.cpuMs,
    'list: longest stall (monitor)': synced.stall.monitorMs,
    'list: longest stall (ticker)': synced.stall.tickerMs,
    'list: longest stall (own CPU)': synced.stall.ownMs,
    'heap kept': synced.keptBytes / synced.objects,
    'peak memory': synced.peakBytes / 2 ** 20,
    watch: changes / watched.seconds,
    'watch CPU': (watched.cpuMs * 1000) / changes,
    'watch: longest stall (monitor)': watched.stall.monitorMs,
    'watch: longest stall (ticker)': watched.stall.tickerMs,
    'watch: longest stall (own CPU)': watched.stall.ownMs,
  }
}
