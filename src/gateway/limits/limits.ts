import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { AgentSession } from '../../crds/agent-session.ts'
import type { Env } from '../../env/env.ts'
import type { Owner } from '../../sessions/key.ts'
import { mayReopen } from '../../sessions/state.ts'
import { GatewayError } from '../errors.ts'
import type { LimitObserver } from '../metrics.ts'
import type { Wanted } from '../sessions/open.ts'
import { Buckets } from './buckets.ts'

/** The sessions that the gateway knows, as `sessionIndexes` orders them. */
export interface KnownSessions {
  sessions: { byKey(key: string): AgentSession | undefined; count(index: string, value: string): number }
}

/** Live sessions by runtime, and by runtime and owner. One whose end is written counts no more; one that is ending does. */
export const sessionIndexes = {
  live: (session: AgentSession): string[] => (mayReopen(session) ? [] : [session.spec.runtimeRef.uid]),
  liveOfOwner: (session: AgentSession): string[] =>
    mayReopen(session) || isShared(session.spec.owner) ? [] : [ownerOn(session.spec.runtimeRef.uid, session.spec.owner)],
}

const UNOBSERVED: LimitObserver = { limited: () => {} }

/**
 * spec.limits (contract 4.2). Sessions are counted from this gateway's own tables and from what it is opening itself, so
 * that it never goes over by its own doing; several gateways together may, by what the others have begun and the watch has
 * not shown yet. Rates are each gateway's own.
 */
export class Limits {
  readonly #tables: KnownSessions
  readonly #observer: LimitObserver
  readonly #opened: Buckets
  readonly #called: Buckets
  /** Runtime uid → session key → owner of what is being opened. */
  readonly #opening = new Map<string, Map<string, string>>()

  constructor(env: Pick<Env, 'clock'>, tables: KnownSessions, observer: LimitObserver = UNOBSERVED) {
    this.#tables = tables
    this.#observer = observer
    this.#opened = new Buckets(env.clock)
    this.#called = new Buckets(env.clock)
  }

  /** One call of its true caller, whoever owns the session. Throws 429. */
  call(runtime: AgentRuntime, owner: Owner): void {
    const { callsPerSecondPerOwner } = runtime.spec.limits
    const waitMs = this.#called.take(ownerOn(runtime.metadata.uid!, owner), callsPerSecondPerOwner)
    if (waitMs === undefined) return
    this.#observer.limited('callsPerSecondPerOwner')
    throw tooFast(
      `you call ${named(runtime)} more often than ${callsPerSecondPerOwner} times a second (spec.limits.callsPerSecondPerOwner)`,
      waitMs,
    )
  }

  /**
   * One session is about to be created or reopened; `done` once the tables hold it, or nothing came of it. Throws 402 when there
   * are too many live ones, 429 when too many are opened a second; nothing is taken then.
   */
  opening({ key, identity }: Wanted, runtime: AgentRuntime): { done(): void } {
    const { runtimeUID, owner } = identity
    this.#checkLive(runtime, runtimeUID, owner)
    const { newSessionsPerSecond } = runtime.spec.limits
    const waitMs = this.#opened.take(runtimeUID, newSessionsPerSecond)
    if (waitMs !== undefined) {
      this.#observer.limited('newSessionsPerSecond')
      throw tooFast(
        `${named(runtime)} opens at most ${newSessionsPerSecond} sessions a second at each gateway (spec.limits.newSessionsPerSecond)`,
        waitMs,
      )
    }
    const opening = this.#opening.get(runtimeUID) ?? new Map<string, string>()
    this.#opening.set(runtimeUID, opening.set(key, ownerOn(runtimeUID, owner)))
    return {
      done: () => {
        if (opening.delete(key) && opening.size === 0) this.#opening.delete(runtimeUID)
      },
    }
  }

  #checkLive(runtime: AgentRuntime, runtimeUID: string, owner: Owner): void {
    const { sessions, sessionsPerOwner } = runtime.spec.limits
    const { sessions: table } = this.#tables
    if (table.count('live', runtimeUID) + this.#begun(runtimeUID) >= sessions) {
      this.#observer.limited('sessions')
      throw new GatewayError(
        'ServiceQuotaExceededException',
        `${named(runtime)} has as many live sessions as it may have, ${sessions} (spec.limits.sessions): stop some, wait until idle ones end, or raise the limit`,
      )
    }
    if (isShared(owner)) return
    const own = ownerOn(runtimeUID, owner)
    if (table.count('liveOfOwner', own) + this.#begun(runtimeUID, own) >= sessionsPerOwner) {
      this.#observer.limited('sessionsPerOwner')
      throw new GatewayError(
        'ServiceQuotaExceededException',
        `you have as many live sessions on ${named(runtime)} as one caller may have, ${sessionsPerOwner} (spec.limits.sessionsPerOwner): stop some, wait until idle ones end, or raise the limit`,
      )
    }
  }

  /** What is being opened and is not in the tables as live yet; the watch may show it before its write has answered. */
  #begun(runtimeUID: string, own?: string): number {
    let count = 0
    for (const [key, opener] of this.#opening.get(runtimeUID) ?? []) {
      if (own !== undefined && opener !== own) continue
      const known = this.#tables.sessions.byKey(key)
      if (known === undefined || mayReopen(known)) count += 1
    }
    return count
  }
}

/** Everybody's: then there is no one owner to limit, and spec.limits.sessions alone holds. */
function isShared({ kind }: Owner): boolean {
  return kind === 'runtime'
}

function ownerOn(runtimeUID: string, { kind, issuer, subject }: Owner): string {
  return JSON.stringify([runtimeUID, kind, issuer, subject])
}

function named({ metadata }: AgentRuntime): string {
  return `the agent runtime ${metadata.name}`
}

function tooFast(what: string, retryAfterMs: number): GatewayError {
  return new GatewayError('ThrottlingException', `${what}: send the same call again after ${retryAfterMs} ms, or raise the limit`, {
    retryAfterMs,
  })
}
