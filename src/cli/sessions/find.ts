import type { AgentSession } from '../../crds/agent-session.ts'
import { CommandFailure } from '../failure.ts'
import { harmless, shortened } from '../text.ts'
import type { Scope } from './fetch.ts'

const MOST_NAMED = 10

/** By the object's name, the whole session id, or the id as `carrel sessions` shortens it. */
export function sessionsCalled(wanted: string, sessions: readonly AgentSession[]): AgentSession[] {
  const named = sessions.filter(({ metadata }) => metadata.name === wanted)
  if (named.length > 0) return named
  const byId = sessions.filter(({ spec }) => spec.sessionId === wanted)
  return byId.length > 0 ? byId : sessions.filter(({ spec }) => shortened(spec.sessionId) === wanted)
}

/** The one that is meant. Throws a failure that names the candidates: a session id may have several owners, runtimes and endpoints. */
export function onlyOne(wanted: string, found: readonly AgentSession[], scope: Scope): AgentSession {
  const [first, ...more] = found
  if (first === undefined) throw new CommandFailure(nobodyCalled(wanted, scope))
  if (more.length === 0) return first
  const names = found.slice(0, MOST_NAMED).map(({ metadata, spec }) => {
    const of = `${spec.runtimeRef.name}, endpoint ${spec.endpoint}, of ${harmless(spec.owner.subject)} (${harmless(spec.owner.issuer)})`
    return `  ${metadata.name}   ${of}`
  })
  throw new CommandFailure([`${found.length} sessions are called ${wanted}. Say which by its name:`, ...names].join('\n'))
}

export function nobodyCalled(wanted: string, { namespace, runtime }: Scope): string {
  const of = runtime === undefined ? '' : ` of ${runtime}`
  return [
    `no session${of} in namespace ${namespace} is called ${harmless(wanted)}: ended ones leave after a while.`,
    `\`carrel sessions\` lists those that are there, \`carrel sessions -A\` in every namespace (then name it with -n).`,
  ].join('\n')
}
