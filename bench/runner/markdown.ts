/** A result as a Markdown page: one table for each API server, a case a column, a metric a row. */
import type { Metric } from './bench.ts'
import type { BenchResult, CaseResult } from './result.ts'
import type { Spread } from './spread.ts'

export function markdownOf(result: BenchResult): string {
  const { machine, settings } = result
  const apis = [...new Set(result.cases.map(({ api }) => api))]
  const facts = [
    result.startedAt.slice(0, 10),
    `${machine.cores} cores (${machine.processor})`,
    `${machine.memoryGiB} GiB`,
    `Node ${machine.node}`,
    machine.system,
    `${settings.rounds} rounds`,
    `${Math.round(result.durationSeconds)} s in all`,
  ]
  return [
    `## ${result.bench}`,
    '',
    result.about,
    '',
    `${facts.join(', ')}. Median (least–most of the rounds); below it the ratio to floor and peer.`,
    '',
    ...apis.flatMap((api) => tableOf(result, api)),
    ...result.notes.map((note) => `- ${note}`),
    ...result.cases.flatMap(({ name, api, details }) => (details === undefined ? [] : ['', `**${name}, ${api} API**`, '', details])),
    '',
  ].join('\n')
}

function tableOf(result: BenchResult, api: string): string[] {
  const cases = result.cases.filter((one) => one.api === api)
  const row = (cells: string[]): string => `| ${cells.join(' | ')} |`
  const shown = result.metrics.filter(({ name }) => cases.some(({ summary }) => summary[name] !== undefined))
  return [
    row([`${api} API`, ...cases.map(({ name, role }) => (role === 'ours' ? name : `${name} (${role})`)), 'target']),
    row(['---', ...cases.map(() => '---'), '---']),
    ...shown.map((metric) => row([`${metric.name}, ${metric.unit}`, ...cases.map((one) => cellOf(one, metric)), targetOf(metric)])),
    '',
  ]
}

function targetOf({ target, targetToFloor, better }: Metric): string {
  const sign = better === 'less' ? '<=' : '>='
  const parts = [target === undefined ? '' : `${sign} ${target}`, targetToFloor === undefined ? '' : `${sign} ${targetToFloor}x floor`]
  return parts.filter(Boolean).join(', ')
}

function cellOf({ role, summary, ratios }: CaseResult, metric: Metric): string {
  const spread = summary[metric.name]
  if (spread === undefined) return ''
  const ratio = ratios[metric.name] ?? {}
  const beside = [
    ...(ratio.toFloor === undefined ? [] : [`${short(ratio.toFloor)}x floor`]),
    ...(ratio.toPeer === undefined ? [] : [`${short(ratio.toPeer)}x peer`]),
  ]
  const missed = role === 'ours' && isMissed(spread, ratio, metric) ? ' **missed**' : ''
  return `${rangeOf(spread)}${missed}${beside.length > 0 ? `<br>${beside.join(', ')}` : ''}`
}

/** By the median: the extremes of a shared machine are shown, not judged. */
function isMissed({ median }: Spread, { toFloor }: { toFloor?: number }, { target, targetToFloor, better }: Metric): boolean {
  const misses = (value: number | undefined, wanted: number | undefined): boolean =>
    value !== undefined && wanted !== undefined && (better === 'less' ? value > wanted : value < wanted)
  return misses(median, target) || misses(toFloor, targetToFloor)
}

function rangeOf({ median, min, max }: Spread): string {
  return min === max ? short(median) : `${short(median)} (${short(min)}–${short(max)})`
}

/** Three digits that count. */
function short(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}
