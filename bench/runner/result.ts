/** The result of a bench as data: everything raw, and what the table shows of it. */
import type { Bench, BenchSettings, Metric } from './bench.ts'
import type { MachineFacts } from './machine.ts'
import type { CaseRun } from './rounds.ts'
import { spreadOf, type Spread } from './spread.ts'

export interface BenchResult {
  format: 'carrel-bench/1'
  bench: string
  about: string
  startedAt: string
  durationSeconds: number
  machine: MachineFacts
  settings: { rounds: number; objects: number; changes: number; sessions: number; seconds: number }
  metrics: readonly Metric[]
  cases: CaseResult[]
  notes: string[]
}

export interface CaseResult {
  name: string
  api: string
  role: CaseRun['role']
  /** Raw samples, one a round. */
  samples: Record<string, number>[]
  /** By metric. */
  summary: Record<string, Spread>
  /** By metric: this case divided by floor and peer of the same API and round, then the median of the rounds. */
  ratios: Record<string, { toFloor?: number; toPeer?: number }>
  details?: string
}

export function resultOf(
  bench: Bench,
  settings: BenchSettings,
  runs: readonly CaseRun[],
  facts: { startedAt: string; durationSeconds: number; machine: MachineFacts; notes: string[] },
): BenchResult {
  const { rounds, objects, changes, sessions, seconds } = settings
  return {
    format: 'carrel-bench/1',
    bench: bench.name,
    about: bench.about,
    startedAt: facts.startedAt,
    durationSeconds: facts.durationSeconds,
    machine: facts.machine,
    settings: { rounds, objects, changes, sessions, seconds },
    metrics: bench.metrics,
    cases: runs.map((run) => caseResultOf(run, runs, bench.metrics)),
    notes: facts.notes,
  }
}

function caseResultOf(run: CaseRun, all: readonly CaseRun[], metrics: readonly Metric[]): CaseResult {
  const details = run.rounds.at(-1)?.details
  const beside = (role: CaseRun['role']): CaseRun | undefined =>
    all.find((other) => other.role === role && other.api === run.api && other !== run)
  const summary: CaseResult['summary'] = {}
  const ratios: CaseResult['ratios'] = {}
  for (const { name } of metrics) {
    const spread = spreadOf(valuesOf(run, name))
    if (spread === undefined) continue
    summary[name] = spread
    const toFloor = ratioOf(run, beside('floor'), name)
    const toPeer = ratioOf(run, beside('peer'), name)
    ratios[name] = { ...(toFloor === undefined ? {} : { toFloor }), ...(toPeer === undefined ? {} : { toPeer }) }
  }
  return {
    name: run.name,
    api: run.api,
    role: run.role,
    samples: run.rounds.map(({ sample }) => sample),
    summary,
    ratios,
    ...(details === undefined ? {} : { details }),
  }
}

function valuesOf(run: CaseRun, metric: string): number[] {
  return run.rounds.map(({ sample }) => sample[metric]).filter((value) => value !== undefined)
}

function ratioOf(run: CaseRun, other: CaseRun | undefined, metric: string): number | undefined {
  const quotients = run.rounds.map(({ sample }, round) => {
    const below = other?.rounds[round]?.sample[metric]
    const above = sample[metric]
    return above === undefined || below === undefined || below === 0 ? undefined : above / below
  })
  return spreadOf(quotients.filter((quotient) => quotient !== undefined))?.median
}
