import { sleep } from '../../env/clock.ts'
import { ActivityUnavailableError } from '../../activity/errors.ts'
import { boundedTransport } from '../../kube/bounded-transport.ts'
import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { AgentSession } from '../../crds/agent-session.ts'
import { KubeClient } from '../../kube/client.ts'
import { ApiError, TransportError } from '../../kube/errors.ts'
import { answersItsCall, type EndReason } from '../../sessions/end-reason.ts'
import type { GatewayEnv } from '../env.ts'
import { Limits } from '../limits/limits.ts'
import type { Caller, Entered, RuntimeTarget, Sessions } from '../session-port.ts'
import type { Unproven } from '../upstream.ts'
import { policyOfEndpoint } from './endpoint.ts'
import { Holds } from './holds.ts'
import { createSession, reopenSession, stopSession, wantedSession, type Wanted } from './open.ts'
import { Reached } from './reached.ts'
import type { Route, Situation } from './situation.ts'
import type { Tables } from './tables.ts'

/** A call waits this much longer than the agent may take to start: for the previous pod to end. */
const PATIENCE_MS = 10_000
const DIAL_TIMEOUT_MS = 1_000
/** A stop that nobody has acted on is answered after this. */
const STOP_SEEN_MS = 1_000
/** A session that keeps ending under a call is not reopened for ever. */
const MOST_REOPENINGS = 2
/** A caller hears soon that the API server does not answer; a write that was carried out all the same is found by its next try. */
const API_TIMEOUT_MS = 8_000
/** After this, a caller that was told to come again does. */
const RETRY_AFTER_MS = 1_000

/** Who counts what the desk does. */
export interface SessionObserver {
  sessionOpened(how: 'created' | 'reopened'): void
  /** By a call that met a session without a ready pod. */
  openWaited(ms: number): void
}

/** Finds, opens, waits, touches: every decision of the gateway about sessions, apart from bytes and HTTP (design rule 9). */
export class SessionDesk implements Sessions {
  readonly ready: Promise<void>
  readonly #env: GatewayEnv
  readonly #tables: Tables
  readonly #client: KubeClient
  readonly #holds: Holds
  readonly #limits: Limits
  readonly #metrics: SessionObserver | undefined
  /** One write per session at a time: concurrent first calls share it. */
  readonly #opening = new Map<string, Promise<boolean>>()
  readonly #reached: Reached

  /** `name`: under which this gateway stamps, as its Lease is named; `ready`: when it may serve; `limits`: as all of its calls share. */
  constructor(
    env: GatewayEnv,
    tables: Tables,
    { name, ready, limits, metrics }: { name: string; ready: Promise<void>; limits?: Limits; metrics?: SessionObserver },
  ) {
    this.#env = env
    this.#tables = tables
    this.#limits = limits ?? new Limits(env, tables)
    this.#metrics = metrics
    this.#client = new KubeClient(boundedTransport(env, env.kubernetes, API_TIMEOUT_MS))
    this.#holds = new Holds(env, name)
    this.#reached = new Reached(env, DIAL_TIMEOUT_MS)
    this.ready = ready
    tables.onGone((podUID) => {
      this.#holds.forget(podUID)
      this.#reached.forget(podUID)
    })
  }

  /** Keeps the activity store informed until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#holds.run(signal)
  }

  /** Calls `listener` when no call may use the pod any more. */
  onGone(listener: (podUID: string, reason: EndReason) => void): void {
    this.#tables.onGone(listener)
  }

  findRuntime({ runtimeId }: { runtimeId: string }, endpoint: string): RuntimeTarget | undefined | 'NoSuchEndpoint' {
    const runtime = this.#tables.runtimes.by('id', runtimeId)[0]
    if (runtime === undefined || runtime.metadata.deletionTimestamp) return undefined
    const policy = policyOfEndpoint(runtime, endpoint, this.#tables.versions)
    return policy ? { runtime, runtimeId, endpoint, policy } : 'NoSuchEndpoint'
  }

  namespaces(): Iterable<string> {
    return new Set(this.#tables.runtimes.list().map(({ metadata }) => metadata.namespace!))
  }

  isLive(target: RuntimeTarget, caller: Caller, sessionId: string): boolean {
    return this.#tables.situation(wantedSession(target, caller, sessionId).key).kind === 'routable'
  }

  async enter(target: RuntimeTarget, caller: Caller, sessionId: string, signal: AbortSignal): Promise<Entered> {
    const wanted = wantedSession(target, caller, sessionId)
    const beganAtMs = this.#env.clock.monotonic()
    const visit: Visit = {
      runtime: target.runtime,
      waitedFor: 0,
      ran: 0,
      unproven: undefined,
      reopened: 0,
      deadlineMs: beganAtMs + target.policy.startTimeoutSeconds * 1000 + PATIENCE_MS,
    }
    try {
      for (;;) {
        visit.unproven = undefined
        const entered = await this.#advance(wanted, visit, signal)
        if (entered?.outcome === 'entered' && visit.waitedFor > 0) this.#metrics?.openWaited(this.#env.clock.monotonic() - beganAtMs)
        if (entered) return entered
        if (signal.aborted) throw signal.reason
        if (this.#env.clock.monotonic() >= visit.deadlineMs) return this.#gaveUp(wanted, visit)
      }
    } catch (error) {
      if (isUnavailable(error)) return { outcome: 'unavailable', retryAfterMs: (error as ApiError).retryAfterMs ?? RETRY_AFTER_MS }
      throw error
    }
  }

  #gaveUp({ key }: Wanted, { unproven }: Visit): Entered {
    if (unproven === undefined) return { outcome: 'busy', retryAfterMs: RETRY_AFTER_MS }
    this.#env.log.warn({ session: key, why: unproven }, "a call was given up: the session's pod was not proven to be its own")
    return { outcome: 'unproven', why: unproven, retryAfterMs: RETRY_AFTER_MS }
  }

  async stop(target: RuntimeTarget, caller: Caller, sessionId: string, clientToken: string | undefined): Promise<'stopped' | 'unknown'> {
    const stopped = await stopSession(this.#client, wantedSession(target, caller, sessionId), clientToken)
    if (stopped === 'unknown') return 'unknown'
    if (stopped !== 'already') {
      this.#tables.sessions.observe(stopped) // the next call, made at once, must see it
      await this.#untilEnding(stopped)
    }
    return 'stopped'
  }

  /**
   * The operator's word that the stop is seen comes after the stop itself on every watch: by then the other gateways know,
   * too, and the next call through one of them opens a new incarnation. Answered anyway when that takes long.
   */
  async #untilEnding({ metadata, spec }: AgentSession): Promise<void> {
    const key = `${metadata.namespace}/${metadata.name}`
    const enough = new AbortController()
    let isLate = false
    const limit = sleep(this.#env.clock, STOP_SEEN_MS, enough.signal).then(() => (isLate = true))
    while (!isLate && isLive(this.#tables.sessions.byKey(key), spec.stopThrough)) {
      const next = this.#tables.nextChange(key)
      await Promise.race([next.changed, limit])
      next.forget()
    }
    enough.abort()
  }

  /** One step nearer to an entered session; undefined: look again. */
  async #advance(wanted: Wanted, visit: Visit, signal: AbortSignal): Promise<Entered | undefined> {
    const situation = this.#tables.situation(wanted.key)
    switch (situation.kind) {
      case 'absent':
        visit.waitedFor = 1
        await this.#open(wanted, visit, 'created', () => createSession(this.#client, wanted))
        return undefined
      case 'ended':
        return this.#reopen(wanted, situation, visit, signal)
      case 'waiting':
        if (situation.opening) visit.waitedFor = situation.incarnation
        if (situation.hasRun) visit.ran = situation.incarnation
        // Its pod has yet to go, but nothing will make an answer of it.
        if (situation.end && isAnswerTo(visit, situation.incarnation, situation.end.reason)) return { outcome: 'failed', ...situation.end }
        await this.#change(wanted, visit, signal)
        return undefined
      case 'routable':
        return this.#take(wanted, situation.route, visit, signal)
    }
  }

  /** An end that this very call has waited for is its answer; any other is opened anew. */
  async #reopen(
    wanted: Wanted,
    ended: Extract<Situation, { kind: 'ended' }>,
    visit: Visit,
    signal: AbortSignal,
  ): Promise<Entered | undefined> {
    const mine = visit.waitedFor === ended.incarnation
    if (isAnswerTo(visit, ended.incarnation, ended.reason) || (mine && visit.reopened >= MOST_REOPENINGS)) {
      return { outcome: 'failed', reason: ended.reason, message: ended.message, lastLog: ended.lastLog }
    }
    if (mine) visit.reopened += 1
    const next = this.#tables.nextChange(wanted.key)
    try {
      const isOpen = await this.#open(wanted, visit, 'reopened', async () => {
        const session = this.#tables.sessions.byKey(wanted.key)
        return session && reopenSession(this.#client, session)
      })
      // Its record is gone, and the watch will say so: asking again before that would get the same answer.
      if (!isOpen) await this.#orDeadline(next.changed, visit, signal)
    } finally {
      next.forget()
    }
    return undefined
  }

  /** False: there was nothing to write to. Throws 402 or 429 over a limit of the runtime, before anything is written. */
  #open(wanted: Wanted, visit: Visit, how: 'created' | 'reopened', write: () => Promise<AgentSession | undefined>): Promise<boolean> {
    return this.#once(wanted.key, async () => {
      const opening = this.#limits.opening(wanted, visit.runtime)
      try {
        const session = await write()
        if (session === undefined) return false
        this.#tables.sessions.observe(session)
        this.#metrics?.sessionOpened(how)
        return true
      } finally {
        opening.done()
      }
    })
  }

  async #take(wanted: Wanted, route: Route, visit: Visit, signal: AbortSignal): Promise<Entered | undefined> {
    const { podUID } = route
    if (route.hasRun) visit.ran = route.incarnation
    const ended = this.#tables.ended(wanted.key, podUID)
    const next = this.#tables.nextChange(wanted.key)
    try {
      if ((await this.#holds.hold(podUID, route.idleMs)) === 'closed') {
        await this.#orDeadline(next.changed, visit, signal)
        return undefined
      }
      const pod = { uid: podUID, sessionUID: route.sessionUID, address: route.address, port: route.port }
      const reach = await this.#reached.reach(pod)
      if (reach === 'connected') return { outcome: 'entered', pod, release: this.#releaseOnce(podUID), ended }
      this.#holds.release(podUID)
      if (reach !== 'otherPod') visit.waitedFor = route.incarnation // the other's being there tells that this one is no more
      if (reach !== 'refused') visit.unproven = reach
      await this.#orDeadline(Promise.race([next.changed, sleep(this.#env.clock, this.#reached.pauseMs(podUID), signal)]), visit, signal)
      return undefined
    } finally {
      next.forget()
    }
  }

  #releaseOnce(podUID: string): (refused?: boolean) => void {
    let held = true
    return (refused = false) => {
      if (!held) return
      held = false
      this.#holds.release(podUID)
      if (refused) this.#reached.refused(podUID)
    }
  }

  async #change(wanted: Wanted, visit: Visit, signal: AbortSignal): Promise<void> {
    const next = this.#tables.nextChange(wanted.key)
    await this.#orDeadline(next.changed, visit, signal)
    next.forget()
  }

  /** Waits, but no longer than the visit lasts or the caller cares. */
  async #orDeadline(event: Promise<unknown>, visit: Visit, signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    const stop = (): void => enough.abort()
    signal.addEventListener('abort', stop, { once: true })
    await Promise.race([event, sleep(this.#env.clock, Math.max(0, visit.deadlineMs - this.#env.clock.monotonic()), enough.signal)])
    signal.removeEventListener('abort', stop)
    stop()
  }

  #once(key: string, write: () => Promise<boolean>): Promise<boolean> {
    const running = this.#opening.get(key) ?? write().finally(() => this.#opening.delete(key))
    this.#opening.set(key, running)
    return running
  }
}

/** One call's way through the loop. */
interface Visit {
  /** As it was when the call came. */
  runtime: AgentRuntime
  /** The incarnation whose start it has waited for. */
  waitedFor: number
  /** The incarnation that it has seen run: one whose end says nothing of how the next will start. */
  ran: number
  reopened: number
  /** Why the last step did not get further: the pod's port answers, but the pod is not proven. */
  unproven: Unproven | undefined
  /** Monotonic. */
  deadlineMs: number
}

/** Whether an end is what the call gets, where it would open the next incarnation otherwise. */
function isAnswerTo({ waitedFor, ran }: Visit, incarnation: number, reason: EndReason): boolean {
  return waitedFor === incarnation && answersItsCall(reason, { hasRun: ran === incarnation })
}

function isLive(session: AgentSession | undefined, incarnation: number): boolean {
  const { status } = session ?? {}
  return status?.incarnation === incarnation && (status.phase === 'Pending' || status.phase === 'Running')
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof ActivityUnavailableError) return true
  return error instanceof TransportError || (error instanceof ApiError && (error.status === 429 || error.status >= 500))
}
