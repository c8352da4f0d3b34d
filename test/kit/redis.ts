/** Adapter: a real Redis of a test's own, ended by pid. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { certificateFor } from './redis-tls.ts'

export interface RedisOptions {
  /** TLS only, with a certificate of `caFile`. */
  tls?: boolean
  /** The only user that may connect, with these rules (`~key* +command`); without one, anybody may. */
  acl?: { user: string; password: string; rules: string }
  /** Its clock can be set apart from the machine's. */
  faketime?: boolean
  replicaOf?: RedisServer
  /** More of redis.conf, as `['maxmemory-policy', 'allkeys-lru']`; they win over what the kit sets. */
  config?: [name: string, value: string][]
  /** The port of one that has ended, to take its place. */
  port?: number
}

const ADMIN = { username: 'test-admin', password: 'of-the-test' }
const START_MS = 20_000
/** A server that takes longer to end is killed. */
const END_MS = 10_000
const PATIENCE = { lazyConnect: true, retryStrategy: () => 50, commandTimeout: 5_000, maxRetriesPerRequest: 2, enableReadyCheck: false }
/** With libc's own allocator first: Redis' jemalloc reads the clock before libfaketime is ready for it, and the process hangs. */
const ALLOCATOR = 'libc.so.6'

const alive = new Set<RedisServer>()
const killAll = (): void => alive.forEach((server) => server.signal('SIGKILL'))
process.on('exit', killAll)
// The runner ends a file that takes too long so, and then nothing is said of an exit.
process.once('SIGTERM', () => {
  killAll()
  process.exit(143)
})

/** Durable and never evicting, as Carrel wants it, unless `config` says otherwise; on a loopback port of its own. */
export class RedisServer {
  readonly port: number
  readonly directory = mkdtempSync(join(tmpdir(), 'carrel-redis-'))
  /** Of a TLS server: the file of the authority that a client must trust. */
  readonly caFile: string | undefined
  readonly #options: RedisOptions
  readonly #admin: Redis
  #process: ChildProcess | undefined

  /** Resolves when it answers. */
  static async start(options: RedisOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options, options.port ?? (await freePort()))
    await server.#launch()
    return server
  }

  private constructor(options: RedisOptions, port: number) {
    this.#options = options
    this.port = port
    this.caFile = options.tls ? certificateFor(this.directory) : undefined
    this.setClockOffset(0)
    const tls = this.caFile === undefined ? {} : { tls: { ca: readFileSync(this.caFile) } }
    this.#admin = new Redis({ host: '127.0.0.1', port, ...tls, ...ADMIN, ...PATIENCE })
    this.#admin.on('error', () => {}) // down on purpose now and then
  }

  /** With the ACL user's name and password, where there is one. */
  get url(): string {
    const { tls, acl } = this.#options
    return `${tls ? 'rediss' : 'redis'}://${acl ? `${acl.user}:${encodeURIComponent(acl.password)}@` : ''}127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process!.pid!
  }

  /** As its administrator, whatever the ACL says. */
  async command(name: string, ...parameters: (string | number)[]): Promise<unknown> {
    return this.#admin.call(name, ...parameters)
  }

  /** It forgets everything, at once. */
  async empty(): Promise<void> {
    await this.command('FLUSHALL')
  }

  /** Ends it, and removes its files. */
  async stop(): Promise<void> {
    this.#admin.disconnect()
    await this.#end('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** As a machine that lost its power; its files stay. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends it cleanly, or starts what was killed, with the same port and files. Resolves when it answers. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM')
    await this.#launch()
  }

  pause(): void {
    this.signal('SIGSTOP')
  }

  resume(): void {
    this.signal('SIGCONT')
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  /** Its clock runs this far from the machine's (with `faketime`). Whole milliseconds. */
  setClockOffset(offsetMs: number): void {
    this.#writeClock(`${offsetMs < 0 ? '-' : '+'}${(Math.abs(offsetMs) / 1000).toFixed(3)}`)
  }

  /** Its clock stands at this moment of 1 January 2026 (with `faketime`). Multiples of 125 ms arrive exactly. */
  freezeClock(atMs: number): void {
    this.#writeClock(new Date(Date.UTC(2026, 0, 1) + atMs).toISOString().replace('T', ' ').replace('Z', ''))
  }

  #writeClock(text: string): void {
    const path = join(this.directory, 'clock')
    writeFileSync(`${path}.new`, `${text}\n`)
    renameSync(`${path}.new`, path)
  }

  async #launch(): Promise<void> {
    const binary = process.env['CARREL_TEST_REDIS']
    if (!binary) throw new Error('CARREL_TEST_REDIS names no redis-server: run the tests by npm test')
    writeFileSync(join(this.directory, 'redis.conf'), this.#configuration())
    const log = join(this.directory, 'log')
    this.#process = spawn(binary, [join(this.directory, 'redis.conf'), '--logfile', log], { stdio: 'ignore', env: this.#environment() })
    alive.add(this)
    const isDown = (): boolean => this.#process!.exitCode !== null || this.#process!.signalCode !== null
    const answers = async (): Promise<boolean> => isDown() || (await this.#admin.ping()) === 'PONG'
    try {
      await eventually(answers, { withinMs: START_MS, because: 'it did not answer', everyMs: 20 })
      if (isDown()) throw new Error('it ended at once')
    } catch (error) {
      throw new Error(`Redis did not start: ${String(error)}\n${readFileSync(log, 'utf8').slice(-2_000)}`)
    }
  }

  #configuration(): string {
    const { tls, acl, replicaOf, config = [] } = this.#options
    const lines: [string, string][] = [
      ['bind', '127.0.0.1'],
      ['protected-mode', 'no'],
      ['port', tls ? '0' : String(this.port)],
      ['dir', this.directory],
      ['save', '""'],
      ['appendonly', 'yes'],
      ['maxmemory-policy', 'noeviction'],
      ['repl-diskless-sync-delay', '0'],
      // A clean end waits for no replica.
      ['shutdown-timeout', '0'],
      ['user', `${ADMIN.username} on >${ADMIN.password} ~* &* +@all`],
    ]
    if (tls) {
      lines.push(['tls-port', String(this.port)], ['tls-auth-clients', 'no'], ['tls-ca-cert-file', this.caFile!])
      lines.push(['tls-cert-file', join(this.directory, 'server.crt')], ['tls-key-file', join(this.directory, 'server.key')])
    }
    if (acl) lines.push(['user', `${acl.user} on >${acl.password} ${acl.rules}`], ['user', 'default off'])
    if (replicaOf) lines.push(['replicaof', `127.0.0.1 ${replicaOf.port}`])
    return [...lines, ...config].map(([name, value]) => `${name} ${value}\n`).join('')
  }

  #environment(): NodeJS.ProcessEnv {
    if (!this.#options.faketime) return process.env
    const library = process.env['CARREL_TEST_FAKETIME']
    if (!library) throw new Error('CARREL_TEST_FAKETIME names no libfaketime: run the tests by npm test')
    return {
      ...process.env,
      LD_PRELOAD: `${library} ${ALLOCATOR}`,
      FAKETIME_TIMESTAMP_FILE: join(this.directory, 'clock'),
      FAKETIME_NO_CACHE: '1',
      // Redis' own timers stay with the machine's time; both spellings, for old and new libfaketime.
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      TZ: 'UTC',
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ending = this.#process
    alive.delete(this)
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const gone = once(ending, 'exit')
    ending.kill('SIGCONT') // one that was paused takes no other
    ending.kill(signal)
    const late = setTimeout(() => ending.kill('SIGKILL'), END_MS)
    await gone
    clearTimeout(late)
  }
}
