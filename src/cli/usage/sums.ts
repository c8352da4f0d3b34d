import type { AgentSession } from '../../crds/agent-session.ts'
import { isLive } from '../sessions/fetch.ts'
import { NOTHING, sum, usedBy, usedInText, type Used } from './used.ts'

export const GROUPINGS = ['session', 'runtime', 'owner'] as const
export type Grouping = (typeof GROUPINGS)[number]

/** What the sessions of one runtime, of one owner, or one session by itself used. */
export interface UsageSum {
  namespace: string
  /** The runtime's name, the owner's subject, or the session's id. */
  of: string
  /** With an owner: of which issuer, for one subject of two issuers is two. */
  issuer?: string
  live: number
  ended: number
  /** Of them, how many nobody has measured yet. */
  unmeasured: number
  used: Used
}

/** The most CPU time first. */
export function sumsBy(sessions: readonly AgentSession[], by: Grouping): UsageSum[] {
  const sums = new Map<string, UsageSum>()
  for (const session of sessions) {
    const begun = beginning(session, by)
    const key = JSON.stringify([begun.namespace, begun.of, begun.issuer, by === 'session' ? session.metadata.name : ''])
    sums.set(key, added(sums.get(key) ?? begun, session))
  }
  return [...sums.values()].toSorted((a, b) => Number(b.used.cpuSeconds - a.used.cpuSeconds) || (a.of < b.of ? -1 : 1))
}

export function total(sums: readonly UsageSum[]): UsageSum {
  const count = (of: 'live' | 'ended' | 'unmeasured'): number => sums.reduce((all, each) => all + each[of], 0)
  const counts = { live: count('live'), ended: count('ended'), unmeasured: count('unmeasured') }
  return { namespace: '', of: 'TOTAL', ...counts, used: sum(sums.map(({ used }) => used)) }
}

export function sumInJson(each: UsageSum, by: Grouping): object {
  const { namespace, of, issuer, live, ended, unmeasured, used } = each
  const named = by === 'owner' ? { owner: { issuer, subject: of } } : { [by]: of }
  return { namespace, ...named, sessions: live + ended, live, ended, unmeasured, ...usedInText(used) }
}

function beginning({ metadata, spec }: AgentSession, by: Grouping): UsageSum {
  const { issuer, subject } = spec.owner
  const named = { session: { of: spec.sessionId }, runtime: { of: spec.runtimeRef.name }, owner: { of: subject, issuer } }[by]
  return { namespace: metadata.namespace ?? '', ...named, live: 0, ended: 0, unmeasured: 0, used: NOTHING }
}

function added(to: UsageSum, session: AgentSession): UsageSum {
  const used = session.status && usedBy(session.status)
  const live = isLive(session) ? 1 : 0
  return {
    ...to,
    live: to.live + live,
    ended: to.ended + 1 - live,
    unmeasured: to.unmeasured + (used === undefined ? 1 : 0),
    used: sum([to.used, used ?? NOTHING]),
  }
}
