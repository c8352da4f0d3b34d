/** What one session costs the API server: every write from its first call until nothing of it is left. */
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { eventually } from '../../test/kit/eventually.ts'
import { runtimeManifest } from '../../test/kit/manifest.ts'
import { newSessionId } from '../../test/kit/raw-gateway.ts'
import type { Bench, BenchSettings, Case, Measured, Metric, Prepared } from '../runner/bench.ts'
import { openInstallation, type Installed } from './installed.ts'
import { tally, type Tally } from './tally.ts'
import { witness } from './witness.ts'

const PER_SESSION = 'per session'
const METRICS: readonly Metric[] = [
  { name: "writes beyond the pod's own", unit: PER_SESSION, better: 'less', target: 3 },
  { name: 'to open', unit: PER_SESSION, better: 'less' },
  { name: 'to end', unit: PER_SESSION, better: 'less' },
  { name: 'to remove', unit: PER_SESSION, better: 'less' },
  { name: 'writes of the pod', unit: PER_SESSION, better: 'less' },
  { name: 'no-op writes', unit: PER_SESSION, better: 'less', target: 0 },
  { name: 'refused writes', unit: PER_SESSION, better: 'less' },
  { name: 'events', unit: PER_SESSION, better: 'less' },
]
/** Agents are processes of this machine: more at once would only wait for each other. */
const AT_ONCE = 4
const GONE_WITHIN_MS = 120_000
const IDLE_SECONDS = 2

export const sessionWrites: Bench = {
  name: 'kube/session-writes',
  about:
    'Writes to the API server for one session, by its audit log, from the first call until session and pod are gone. Events are counted apart.',
  metrics: METRICS,
  prepare,
}

async function prepare(settings: BenchSettings): Promise<Prepared> {
  const cases: Case[] = []
  const notes = [
    `${settings.sessions} sessions a case, ${AT_ONCE} at once: one call each, then a stop, or ${IDLE_SECONDS} s without a call.`,
  ]
  const open: Installed[] = []
  const stop = async (): Promise<void> => {
    for (const one of open) await one.stop()
  }
  try {
    for (const api of settings.apis) {
      const installed = await openInstallation(api)
      open.push(installed)
      const stopped = await installed.apply(runtimeManifest('stopped'))
      const idle = await installed.apply(runtimeManifest('idle', { idleTimeoutSeconds: IDLE_SECONDS }))
      const drive = (name: string, arn: string, isStopped: boolean): Case => ({
        name,
        api,
        role: 'ours',
        measure: () => measure(installed, arn, isStopped, settings.sessions),
      })
      cases.push(drive('stopped', stopped, true), drive('idle', idle, false))
    }
    return { cases, notes, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function measure(installed: Installed, arn: string, isStopped: boolean, sessions: number): Promise<Measured> {
  const transport = httpTransport(loadCluster({ kubeconfig: installed.kubeconfig }))
  const ending = new AbortController()
  try {
    const seen = await witness(transport, ending.signal)
    const before = installed.audit().length
    await Promise.race([seen.failed, driveAll(installed, arn, isStopped, sessions)])
    const isOver = (): boolean => seen.changes.size >= 2 * sessions && seen.present() === 0
    await Promise.race([seen.failed, eventually(isOver, { withinMs: GONE_WITHIN_MS, because: 'sessions and pods are gone' })])
    const lines = installed.audit().slice(before)
    return measured(tally(lines, seen.changes), sessions)
  } finally {
    ending.abort()
    await transport.close()
  }
}

async function driveAll({ gateway }: Installed, arn: string, isStopped: boolean, sessions: number): Promise<void> {
  const left = Array.from({ length: sessions }, newSessionId)
  const worker = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      await gateway.ask(arn, id, { do: 'boot' })
      if (!isStopped) continue
      const { status, body } = await gateway.stop(arn, id)
      if (status !== 200) throw new Error(`stop answered ${status}: ${body}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

function measured(counts: Tally, sessions: number): Measured {
  const rows = [...counts.rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([row, times]) => `| ${row} | ${Number((times / sessions).toFixed(2))} |`)
  return {
    sample: {
      "writes beyond the pod's own": counts.session / sessions,
      'to open': sumOf(counts, /created$|status (Pending|Running)$/) / sessions,
      'to end': sumOf(counts, /stop asked$|status (Terminating|Terminated)$/) / sessions,
      'to remove': sumOf(counts, /deletion begins$|gone$/) / sessions,
      'writes of the pod': counts.pod / sessions,
      'no-op writes': counts.noOp / sessions,
      'refused writes': counts.refused / sessions,
      events: counts.events / sessions,
    },
    details: [
      '| object | written by | how | what it changed | per session |',
      '| --- | --- | --- | --- | --- |',
      ...rows,
      ...counts.suspects.slice(0, 3).map((story) => `\nNo-op: ${story}`),
      `\nIn the same time ${counts.background} writes to other objects (nodes, leases).`,
    ].join('\n'),
  }
}

/** Of the session's own writes, those whose change reads so. */
function sumOf({ rows }: Tally, changed: RegExp): number {
  return [...rows].filter(([row]) => row.startsWith('agentsessions') && changed.test(row)).reduce((sum, [, times]) => sum + times, 0)
}
