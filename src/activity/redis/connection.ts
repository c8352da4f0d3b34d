/** Adapter: the one connection of a process to Redis. It is used only while the server behind it is fit to be the store. */
import { Redis } from 'ioredis'
import type { Timer } from '../../env/clock.ts'
import type { Env } from '../../env/env.ts'
import { ActivitySetupError, ActivityUnavailableError } from '../errors.ts'
import type { RedisAddress } from './address.ts'
import { explain } from './explain.ts'
import { faultIn } from './requirements.ts'
import { SCRIPTS, type Script } from './scripts.ts'

/** Nobody waits longer for a command. */
export const COMMAND_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 1_000
/** A connection on which nothing comes back for so long is given up, as the address may lead to another server by now. */
const SILENCE_MS = 2_000
const RECONNECT_MS = { first: 50, longest: 1_000 }
/** A server that is not fit is looked at again: it may be promoted, or its configuration mended. */
const RECHECK_MS = 1_000

type State = { kind: 'opening' } | { kind: 'usable' } | { kind: 'unusable'; why: string } | { kind: 'closed' }

export interface ConnectionOptions {
  address: RedisAddress
  /** Authority of its certificate, PEM. */
  ca: string | undefined
  /** Does everything once that will be done later, so that a missing permission is found now. */
  tryOut: (connection: RedisConnection) => Promise<void>
}

export class RedisConnection {
  readonly #env: Env
  readonly #options: ConnectionOptions
  readonly #client: Redis
  #state: State = { kind: 'opening' }
  /** The last reason that the client gave. */
  #lastError: unknown
  #recheck: Timer | undefined
  /** Counts connections: a verdict on an earlier one says nothing of this. */
  #epoch = 0

  /** Resolves once a fit server answers; rejects with ActivitySetupError after one attempt, within some seconds. */
  static async open(options: ConnectionOptions, env: Env): Promise<RedisConnection> {
    const connection = new RedisConnection(options, env)
    const why = await connection.#begin()
    if (why === undefined) return connection
    connection.close()
    throw new ActivitySetupError(`Redis at ${connection.#where} ${why}`)
  }

  private constructor(options: ConnectionOptions, env: Env) {
    this.#env = env
    this.#options = options
    const { host, port, tls, username, password, database } = options.address
    this.#client = new Redis({
      host,
      port,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      db: database,
      ...(tls ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {}),
      protocol: 2,
      disableClientInfo: true,
      lazyConnect: true,
      // What INFO says of loading is looked at with the rest.
      enableReadyCheck: false,
      // A command is sent now or not at all: the caller tries again with newer news.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_MS,
      retryStrategy: (times) => (this.#state.kind === 'opening' || this.#state.kind === 'closed' ? null : this.#reconnectDelayMs(times)),
      // The primary was demoted: its address may lead to the new one by now.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
      scripts: Object.fromEntries(Object.entries(SCRIPTS).map(([name, lua]) => [name, { lua }])),
    })
    this.#client.on('error', (error) => (this.#lastError = error))
    this.#client.on('ready', () => this.#connected())
    this.#client.on('close', () => this.#disconnected())
  }

  /** Rejects with ActivityUnavailableError: at once when no fit server is connected, otherwise after COMMAND_TIMEOUT_MS. */
  async run(script: Script, keys: readonly string[], parameters: readonly (string | number)[]): Promise<unknown[]> {
    if (this.#state.kind !== 'usable') throw new ActivityUnavailableError(this.#why())
    return this.send(script, keys, parameters)
  }

  /** The same without asking whether the server is fit: for trying it out. */
  async send(script: Script, keys: readonly string[], parameters: readonly (string | number)[]): Promise<unknown[]> {
    const commands = this.#client as unknown as Record<Script, (...given: (string | number)[]) => Promise<unknown[]>>
    try {
      return await commands[script](keys.length, ...keys, ...parameters)
    } catch (error) {
      // No cause: the client's errors carry the arguments of their command.
      throw new ActivityUnavailableError(`Redis at ${this.#where} ${explain(error, this.#options.address)}`)
    }
  }

  /** Ends it; every later call rejects. */
  close(): void {
    this.#state = { kind: 'closed' }
    this.#recheck?.cancel()
    this.#client.disconnect()
  }

  get #where(): string {
    const { host, port } = this.#options.address
    return `${host}:${port}`
  }

  #why(): string {
    if (this.#state.kind === 'unusable') return `Redis at ${this.#where} ${this.#state.why}`
    return `the connection to Redis at ${this.#where} was closed`
  }

  /** One attempt. Answers why it failed. */
  async #begin(): Promise<string | undefined> {
    try {
      await this.#client.connect()
    } catch (error) {
      return explain(this.#lastError ?? error, this.#options.address)
    }
    const fault = await this.#fault()
    if (fault === undefined) this.#state = { kind: 'usable' }
    return fault
  }

  #connected(): void {
    this.#epoch += 1
    if (this.#state.kind !== 'opening') void this.#judge(this.#epoch)
  }

  #disconnected(): void {
    this.#recheck?.cancel()
    if (this.#state.kind !== 'usable' && this.#state.kind !== 'unusable') return
    this.#unusable(this.#lastError === undefined ? 'ended the connection' : explain(this.#lastError, this.#options.address))
    this.#lastError = undefined
  }

  /** After each reconnect: it may be another server. */
  async #judge(epoch: number): Promise<void> {
    const fault = await this.#fault()
    if (epoch !== this.#epoch || this.#state.kind === 'closed' || this.#client.status !== 'ready') return
    if (fault === undefined) {
      this.#env.log.info({ redis: this.#where }, 'the activity store is there again')
      this.#state = { kind: 'usable' }
      return
    }
    this.#unusable(fault)
    this.#recheck = this.#env.clock.after(RECHECK_MS, () => void this.#judge(epoch))
  }

  async #fault(): Promise<string | undefined> {
    try {
      const fault = faultIn(await this.#client.info())
      if (fault === undefined) await this.#options.tryOut(this)
      return fault
    } catch (error) {
      if (error instanceof ActivityUnavailableError) return error.message.replace(`Redis at ${this.#where} `, '')
      return explain(error, this.#options.address)
    }
  }

  /** Said once for each reason, not for each attempt. */
  #unusable(why: string): void {
    const known = this.#state.kind === 'unusable' && this.#state.why === why
    this.#state = { kind: 'unusable', why }
    if (!known) this.#env.log.error({ redis: this.#where }, `Redis ${why}; nothing is closed until it is mended`)
  }

  #reconnectDelayMs(times: number): number {
    const delayMs = Math.min(RECONNECT_MS.first * 2 ** Math.min(times, 10), RECONNECT_MS.longest)
    return delayMs * (0.5 + this.#env.random.fraction() / 2)
  }
}
