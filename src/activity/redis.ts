/** Adapter: the activity store of an installation with several operators and gateways, in one Redis that all of them share. */
import { readFileSync } from 'node:fs'
import type { Env } from '../env/env.ts'
import type { Activity, CloseAnswer, Look, Stamp, StampAnswer } from './activity.ts'
import { ActivitySetupError, ActivityUnavailableError } from './errors.ts'
import { parseRedisURL, type RedisAddress } from './redis/address.ts'
import { COMMAND_TIMEOUT_MS, RedisConnection } from './redis/connection.ts'
import type { Script } from './redis/scripts.ts'
import type { RedisSettings } from './settings.ts'

/** The second is on the store's time as the first has told it. */
const ATTEMPTS = 2
/** A script of more keys would hold up everybody else's. */
const PODS_AT_ONCE = 500
/** No pod has this UID. */
const TRIAL = 'trial'

/**
 * Connects and looks whether the server is fit: a primary that evicts nothing and keeps an append-only file, and a user
 * that may do what is needed. Rejects with ActivitySetupError, whose message says what to do, within some seconds. Later the
 * same is looked at after every reconnect, and meanwhile each call rejects with ActivityUnavailableError.
 *
 * What a Redis that fails may cost. Restarted with its append-only file (`appendfsync everysec`) it may have lost the last
 * second, and a replica that is promoted the last commands that had not reached it. A lost stamp is sent again within a
 * second, and until every gateway has been heard of nothing closes. A lost close makes a pod open again in the store while
 * its session may be Terminating: no gateway routes to a pod of such a session, whatever the store says, and the operator
 * ends it from what the API holds. An emptied store gives every pod a full idle window.
 */
export async function openRedisActivity(settings: RedisSettings, env: Env): Promise<RedisActivity> {
  const address = parseRedisURL(settings.redis)
  const connection = await RedisConnection.open(
    {
      address,
      ca: authorityOf(settings.redisCaFile, address),
      tryOut: (trial) => new RedisActivity(asGiven(trial), settings.redisPrefix, env).tryOut(),
    },
    env,
  )
  return new RedisActivity(connection, settings.redisPrefix, env)
}

function authorityOf(file: string | undefined, { tls }: RedisAddress): string | undefined {
  if (file === undefined) return undefined
  if (!tls) throw new ActivitySetupError('--redis-ca-file is for TLS, and the URL of --redis is redis://: write rediss://')
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ActivitySetupError(`--redis-ca-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Runs scripts; `connection.ts` has the two ways. */
type Scripts = Pick<RedisConnection, 'run' | 'close'>

function asGiven(connection: RedisConnection): Scripts {
  return { run: (...given) => connection.send(...given), close: () => {} }
}

/** The port, as calls of scripts (`redis/scripts.ts`), which hold all its rules. */
export class RedisActivity implements Activity {
  readonly #scripts: Scripts
  readonly #root: string
  readonly #env: Env
  /** Store time of the last answer, and since when on this process's monotonic clock it was at least that. */
  #storeTime: { ms: number; atMs: number } | undefined

  constructor(scripts: Scripts, prefix: string, env: Env) {
    this.#scripts = scripts
    this.#root = `carrel:{${prefix}}:`
    this.#env = env
  }

  async stamp(holder: string, stamps: readonly Stamp[]): Promise<StampAnswer[]> {
    return this.#record(holder, stamps, 'heartbeat')
  }

  async touch(holder: string, stamp: Stamp): Promise<StampAnswer> {
    const [answer] = await this.#record(holder, [stamp], 'no heartbeat')
    return answer!
  }

  async close(podUID: string, idleMs: number, mustHaveBeenHeard: readonly string[]): Promise<CloseAnswer> {
    const [remaining, ...waitingFor] = await this.#run('carrelClose', [podUID], [idleMs, ...mustHaveBeenHeard])
    if (remaining === 'closed') return { closed: true }
    const remainingMs = Math.ceil(Number(remaining))
    return waitingFor.length === 0 ? { closed: false, remainingMs } : { closed: false, remainingMs, waitingFor }
  }

  async isHeld(podUID: string, otherThan: string): Promise<boolean> {
    return (await this.#run('carrelIsHeld', [podUID], [otherThan]))[0] === 'held'
  }

  async register(podUID: string, idleMs: number): Promise<void> {
    await this.#run('carrelRegister', [podUID], [idleMs])
  }

  async look(podUIDs: readonly string[]): Promise<Look[]> {
    const looks: Look[] = []
    for (const some of inPortions(podUIDs)) {
      const answers = await this.#run('carrelLook', some, [])
      looks.push(...some.map((podUID, index) => lookOf(podUID, answers[index]!)))
    }
    return looks
  }

  async forget(podUIDs: readonly string[]): Promise<void> {
    for (const some of inPortions(podUIDs)) await this.#run('carrelForget', some, [])
  }

  /** Every command once, on a pod that is none. */
  async tryOut(): Promise<void> {
    await this.stamp(TRIAL, [{ podUID: TRIAL, idleMs: 0, open: true }])
    await this.touch(TRIAL, { podUID: TRIAL, idleMs: 0, open: false })
    await this.close(TRIAL, 0, [TRIAL])
    await this.isHeld(TRIAL, '')
    await this.look([TRIAL])
    await this.forget([TRIAL])
  }

  /** Ends the connection; every later call rejects. */
  disconnect(): void {
    this.#scripts.close()
  }

  async #record(holder: string, stamps: readonly Stamp[], heartbeat: 'heartbeat' | 'no heartbeat'): Promise<StampAnswer[]> {
    const answers = await this.#run(
      'carrelStamp',
      stamps.map(({ podUID }) => podUID),
      [holder, heartbeat === 'heartbeat' ? 1 : 0, ...stamps.flatMap(({ idleMs, open, agoMs = 0 }) => [idleMs, open ? 1 : 0, agoMs])],
    )
    return stamps.map(({ podUID }, index) => {
      const remaining = answers[index]!
      return remaining === '' ? { podUID, closed: true } : { podUID, closed: false, remainingMs: Number(remaining) }
    })
  }

  /** Says until when this call waits, on the store's time; when its idea of that was wrong, the answer has mended it. */
  async #run(script: Script, podUIDs: readonly string[], parameters: readonly (string | number)[]): Promise<string[]> {
    const keys = [...['clock', 'heard', 'deadlines'].map((name) => this.#root + name), ...podUIDs.map((uid) => `${this.#root}pod:${uid}`)]
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const askedAtMs = this.#env.clock.monotonic()
      const waitsUntilMs = this.#storeTime ? this.#storeTime.ms + askedAtMs - this.#storeTime.atMs + COMMAND_TIMEOUT_MS : 0
      const [now, outcome, ...answer] = (await this.#scripts.run(script, keys, [waitsUntilMs, ...parameters])) as string[]
      this.#storeTime = { ms: Number(now), atMs: askedAtMs }
      if (outcome === 'DONE') return answer
    }
    throw new ActivityUnavailableError("the activity store's clock jumps")
  }
}

/** `active`, `unknown`, or for how long it has been idle and what remains. */
function lookOf(podUID: string, answer: string): Look {
  if (answer === 'active' || answer === 'unknown') return { podUID, state: answer }
  const [idleForMs, remainingMs] = answer.split(' ').map(Number)
  return { podUID, state: 'idle', idleForMs: idleForMs!, remainingMs: remainingMs! }
}

function* inPortions(podUIDs: readonly string[]): Generator<readonly string[]> {
  for (let from = 0; from < podUIDs.length; from += PODS_AT_ONCE) yield podUIDs.slice(from, from + PODS_AT_ONCE)
}
