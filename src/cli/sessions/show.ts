import { usesOf, type Uses } from '../activity.ts'
import type { CliEnv } from '../env.ts'
import { watchLive, type LiveLine, type Look } from '../live.ts'
import { table } from '../table.ts'
import { harmless } from '../text.ts'
import { textOf } from '../../metering/amount.ts'
import { sessionColumns } from './columns.ts'
import { fetchSessions, nothingHere, scopeOf, type Scope } from './fetch.ts'
import { activityOf, phaseOf, rowInJson, rowsOf, type SessionRow } from './row.ts'

export interface SessionsOptions {
  kubeconfig?: string
  namespace?: string
  allNamespaces?: boolean
  runtime?: string
  gateway?: string
  output: 'table' | 'wide' | 'json'
  watch?: boolean
}

/** Sessions, whose they are, whether they are in use, what they used and why they ended. */
export async function showSessions(env: CliEnv, options: SessionsOptions): Promise<void> {
  const cluster = env.cluster(options)
  const scope = scopeOf(options, cluster)
  const look = async (): Promise<{ rows: SessionRow[]; uses: Uses }> => {
    const [sessions, uses] = await Promise.all([
      fetchSessions(cluster.kubernetes, scope),
      usesOf(env, cluster, { gateway: options.gateway, namespace: scope.namespace }),
    ])
    return { rows: rowsOf(sessions, uses), uses }
  }
  if (options.watch) return watchLive(env, options.output === 'json', async () => liveLook(env, options, scope, await look()))
  const { rows, uses } = await look()
  const note = noteOf(rows, uses, scope)
  if (options.output === 'json') env.screen.out(JSON.stringify(rows.map(rowInJson), undefined, 2))
  else if (rows.length > 0) env.screen.out(tableOf(env, options, scope, rows, undefined).join('\n'))
  if (note) env.screen.note(rows.length > 0 && options.output !== 'json' ? `\n${note}` : note)
}

function liveLook(env: CliEnv, options: SessionsOptions, scope: Scope, { rows, uses }: { rows: SessionRow[]; uses: Uses }): Look {
  const note = noteOf(rows, uses, scope)
  const isJson = options.output === 'json'
  return {
    lines: (columns) => (rows.length === 0 ? [] : tableOf(env, options, scope, rows, columns)),
    notes: note ? [note] : [],
    titles: isJson ? '' : PLAIN_TITLES.join('\t'),
    rows: new Map(rows.map((row) => [row.session.metadata.uid ?? row.session.metadata.name, isJson ? jsonLine(row) : plainLine(row)])),
  }
}

function noteOf(rows: readonly SessionRow[], uses: Uses, scope: Scope): string | undefined {
  if (rows.length === 0) return nothingHere(scope)
  return 'unknown' in uses ? harmless(uses.unknown) : undefined
}

function tableOf(env: CliEnv, options: SessionsOptions, scope: Scope, rows: readonly SessionRow[], columns: number | undefined): string[] {
  const view = { allNamespaces: scope.namespace === undefined, wide: options.output === 'wide', nowMs: env.clock.now() }
  return table(sessionColumns(view), rows, { colour: env.screen.colour, columns })
}

const PLAIN_TITLES = ['NAMESPACE', 'SESSION', 'RUNTIME', 'OWNER', 'PHASE', 'ACTIVITY', 'SINCE', 'EXPIRES', 'CPU-S', 'GB-S', 'END']

/** With moments in place of durations: a line stays true after it was written. */
function plainLine({ session, use, used }: SessionRow): LiveLine {
  const { metadata, spec, status } = session
  const cells = [
    metadata.namespace,
    spec.sessionId,
    spec.runtimeRef.name,
    spec.owner.subject,
    phaseOf(session),
    use && activityOf(use),
    status?.startedAt,
    status?.expiresAt,
    used && textOf(used.cpuSeconds),
    used && textOf(used.memoryPeakGBSeconds),
    status?.endReason,
  ]
  const line = cells.map((cell) => harmless(cell ?? '') || '-').join('\t')
  return { line, mark: line }
}

function jsonLine(row: SessionRow): LiveLine {
  const told = rowInJson(row)
  return { line: JSON.stringify(told), mark: JSON.stringify({ ...told, idleForMs: null, idleEndsInMs: null }) }
}
