import type { CliEnv } from '../env.ts'
import { watchLive, type LiveLine, type Look } from '../live.ts'
import { fetchSessions, nothingHere, scopeOf, type Scope } from '../sessions/fetch.ts'
import { table, type Column } from '../table.ts'
import { harmless, shortened } from '../text.ts'
import { textOf } from '../../metering/amount.ts'
import { sumInJson, sumsBy, total, type Grouping, type UsageSum } from './sums.ts'

export interface UsageOptions {
  kubeconfig?: string
  namespace?: string
  allNamespaces?: boolean
  runtime?: string
  by: Grouping
  output: 'table' | 'json'
  watch?: boolean
}

/** Ended sessions leave the API after a time (`--session-ttl` of the operator), and with them what they used. */
const LIMIT = 'Of the sessions that are listed now: ended ones leave after the session TTL. Live ones are up to a minute behind.'

/** Sums over sessions: CPU-seconds, and GB-seconds by the rules of both price books. */
export async function showUsage(env: CliEnv, options: UsageOptions): Promise<void> {
  const cluster = env.cluster(options)
  const scope = scopeOf(options, cluster)
  const look = async (): Promise<UsageSum[]> => sumsBy(await fetchSessions(cluster.kubernetes, scope), options.by)
  if (options.watch) return watchLive(env, options.output === 'json', async () => liveLook(env, options, scope, await look()))
  const sums = await look()
  if (options.output === 'json') return env.screen.out(JSON.stringify(inJson(sums, options.by), undefined, 2))
  if (sums.length === 0) return env.screen.note(nothingHere(scope))
  env.screen.out(tableOf(env, options, scope, sums, undefined).join('\n'))
  env.screen.note(`\n${LIMIT}`)
}

function inJson(sums: readonly UsageSum[], by: Grouping): object {
  const { live, ended, unmeasured, used } = total(sums)
  const { cpuSeconds, memoryPeakGBSeconds, memoryInUseGBSeconds } = used
  const amounts = {
    cpuSeconds: textOf(cpuSeconds),
    memoryPeakGBSeconds: textOf(memoryPeakGBSeconds),
    memoryInUseGBSeconds: textOf(memoryInUseGBSeconds),
  }
  return { by, items: sums.map((each) => sumInJson(each, by)), total: { sessions: live + ended, live, ended, unmeasured, ...amounts } }
}

function tableOf(env: CliEnv, { by }: UsageOptions, scope: Scope, sums: readonly UsageSum[], columns: number | undefined): string[] {
  return table(usageColumns(by, scope.namespace === undefined), [...sums, total(sums)], { colour: env.screen.colour, columns })
}

function usageColumns(by: Grouping, allNamespaces: boolean): Column<UsageSum>[] {
  const right = 'right' as const
  const isTotal = ({ namespace, of }: UsageSum): boolean => namespace === '' && of === 'TOTAL'
  return [
    ...(allNamespaces ? [{ title: 'NAMESPACE', cell: ({ namespace }: UsageSum) => namespace }] : []),
    {
      title: by.toUpperCase(),
      cell: ({ of }) => (by === 'session' ? shortened(of) : of),
      tone: (each) => (isTotal(each) ? 'good' : undefined),
    },
    ...(by === 'owner' ? [{ title: 'ISSUER', cell: ({ issuer }: UsageSum) => issuer ?? '' }] : []),
    { title: 'SESSIONS', align: right, cell: ({ live, ended }) => String(live + ended) },
    { title: 'LIVE', align: right, cell: ({ live }) => String(live) },
    { title: 'ENDED', align: right, cell: ({ ended }) => String(ended) },
    { title: 'CPU-S', align: right, cell: ({ used }) => textOf(used.cpuSeconds) },
    { title: 'GB-S PEAK', align: right, cell: ({ used }) => textOf(used.memoryPeakGBSeconds) },
    { title: 'GB-S IN USE', align: right, cell: ({ used }) => textOf(used.memoryInUseGBSeconds) },
    { title: 'UNMEASURED', align: right, cell: ({ unmeasured }) => (unmeasured === 0 ? '' : String(unmeasured)) },
  ]
}

function liveLook(env: CliEnv, options: UsageOptions, scope: Scope, sums: readonly UsageSum[]): Look {
  const isJson = options.output === 'json'
  const columns = usageColumns(options.by, true)
  const plain = (each: UsageSum): string => columns.map(({ cell }) => harmless(cell(each)) || '-').join('\t')
  const line = (each: UsageSum): LiveLine => {
    const text = isJson
      ? JSON.stringify(each.of === 'TOTAL' && each.namespace === '' ? inJson(sums, options.by) : sumInJson(each, options.by))
      : plain(each)
    return { line: text, mark: text }
  }
  const shown = isJson ? [total(sums)] : [...sums, total(sums)]
  return {
    lines: (width) => (sums.length === 0 ? [] : tableOf(env, options, scope, sums, width)),
    notes: sums.length === 0 ? [nothingHere(scope)] : [LIMIT],
    titles: isJson ? '' : columns.map(({ title }) => title).join('\t'),
    rows: new Map(shown.map((each) => [JSON.stringify([each.namespace, each.of, each.issuer]), line(each)])),
  }
}
