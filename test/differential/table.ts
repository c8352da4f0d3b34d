/** A trace for people: each operation with both answers, and where they part. */
import { isDeepStrictEqual } from 'node:util'
import type { Comparable } from './comparable.ts'
import type { Verdict } from './judge.ts'
import type { Operation, Trace } from './operation.ts'
import { SELECTORS } from './selectors.ts'

const SHOWN_DIFFERENCES = 8

/** `names`: of the two sides. */
export function tableOf(trace: Trace, { outcomes, differing }: Verdict, names: readonly [string, string]): string {
  const rows = trace.operations.map((operation, index) => {
    const mark = differing.includes(index) ? '≠' : ' '
    return [`${mark} ${index + 1}`, said(operation, trace), summary(outcomes[0][index]!), summary(outcomes[1][index]!)]
  })
  const table = aligned([['', 'operation', ...names], ...rows])
  const details = differing.slice(0, 3).map((index) => {
    const parts = differences(outcomes[0][index], outcomes[1][index], '').slice(0, SHOWN_DIFFERENCES)
    return `operation ${index + 1}:\n${parts.map(([path, one, other]) => `  ${path}\n    ${names[0]}: ${short(one)}\n    ${names[1]}: ${short(other)}`).join('\n')}`
  })
  return [table, ...details].join('\n')
}

/** `client 1 patches (merge) configmaps/a {...}`. */
function said(operation: Operation, trace: Trace): string {
  const { verb, client, kind: _index, ...rest } = operation
  const kind = trace.kinds[operation.kind % trace.kinds.length]!
  const { name, selector, ...more } = rest as { name?: string; selector?: number }
  const chosen = selector === undefined ? {} : SELECTORS[selector]!.query
  const details = Object.entries({ ...more, ...chosen }).filter(([, value]) => value !== undefined && value !== 'none' && value !== false)
  const words = details.map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
  return [`client ${client}:`, verb, name === undefined ? kind : `${kind}/${name}`, ...words].join(' ')
}

function summary({ answers, events, isComplete }: Comparable): string {
  const codes = answers.map((answer) => {
    const { status, reason, fields } = answer as { status: number; reason?: string; fields?: string[] }
    return [status, reason, ...(fields ?? [])].filter(Boolean).join(' ')
  })
  const stream = events?.map((event) => {
    const { type, object } = event as { type: string; object?: { metadata: { name: string } } }
    return [type[0], object?.metadata.name].filter(Boolean).join(' ')
  })
  return [...codes, ...(stream ? [`[${stream.join(', ')}]${isComplete ? '' : ' cut'}`] : [])].join('; ')
}

function aligned(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join(' | ')
        .trimEnd(),
    )
    .join('\n')
}

type Difference = [path: string, one: unknown, other: unknown]

/** The places where two values part, each as deep as it goes. */
export function differences(one: unknown, other: unknown, path: string): Difference[] {
  if (isDeepStrictEqual(one, other)) return []
  if (!isBranch(one) || !isBranch(other) || Array.isArray(one) !== Array.isArray(other)) return [[path, one, other]]
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys].flatMap((key) => differences(one[key], other[key], path === '' ? key : `${path}.${key}`))
}

function isBranch(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function short(value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
