import { sleep, type Clock, type Timer } from '../../src/env/clock.ts'
import type { Env } from '../../src/env/env.ts'
import { seededRandom, VirtualClock } from '../../src/env/virtual.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { TransportError } from '../../src/kube/errors.ts'
import { Candidate, type ElectionOptions, type Outcome } from '../../src/kube/leader.ts'
import { LEASES, type Lease } from '../../src/kube/lease.ts'
import type { ApiRequest, ApiResponse, Transport } from '../../src/kube/transport.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { aborted, SILENT } from './quiet-env.ts'

export const NAMESPACE = 'carrel-system'

/** One API server and processes around it, each with a clock, a scheduler and a network of its own to go wrong. */
export class Electorate {
  readonly clock: VirtualClock
  readonly api: EmbeddedApi
  readonly admin: KubeClient
  readonly voters: Voter[] = []
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
    this.clock = new VirtualClock(seededRandom(`${seed}/clock`))
    const env = { clock: this.clock, random: seededRandom(`${seed}/api`), log: SILENT }
    this.api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs: { async *read() {} } })
    this.admin = new KubeClient(this.transport())
  }

  async start(): Promise<void> {
    await this.api.start()
  }

  transport(): Transport {
    return inProcessTransport(this.api, IDENTITIES.admin)
  }

  join(times: Partial<ElectionOptions> = {}, speed = 1): Voter {
    const name = `voter-${this.voters.length + 1}`
    const voter = new Voter(this.clock, this.transport(), seededRandom(`${this.#seed}/${name}`), name, times, speed)
    this.voters.push(voter)
    return voter
  }

  /** By their own word, asked at this moment. */
  leaders(): Voter[] {
    return this.voters.filter((voter) => !voter.isDead && voter.candidate.isLeader())
  }

  async advance(ms: number, done?: () => boolean): Promise<void> {
    await this.clock.run(this.clock.monotonic() + ms, done)
  }

  async lease(): Promise<Lease | undefined> {
    return this.admin.find(LEASES, NAMESPACE, 'operator')
  }
}

/** How the network of one process is. `lost`: the request never arrives; `deaf`: it arrives, and no answer comes back. */
export type Network = 'up' | 'refused' | 'lost' | 'deaf'

export class Voter {
  readonly candidate: Candidate
  readonly name: string
  readonly requests: ApiRequest[] = []
  network: Network = 'up'
  /** Each way takes up to so long. */
  lagMs = 2
  /** Falls asleep once when its next write has been carried out and before the answer is back. */
  pausesInNextWrite = false
  /** Virtual time at which the last write that was answered had been sent. */
  lastWriteSentAtMs = -Infinity
  /** What the wall clock says beside the truth. */
  wallOffsetMs = 0
  isDead = false
  outcome: Outcome | undefined
  leading: AbortSignal | undefined
  /** Virtual time, at each beginning of a term. */
  leadsSinceMs: number | undefined
  readonly end = new AbortController()
  readonly #world: VirtualClock
  readonly #speed: number
  readonly #random: Env['random']
  readonly #inner: Transport
  readonly #asleep: (() => void)[] = []
  #isPaused = false

  constructor(world: VirtualClock, inner: Transport, random: Env['random'], name: string, times: Partial<ElectionOptions>, speed: number) {
    this.#world = world
    this.#inner = inner
    this.#random = random
    this.#speed = speed
    this.name = name
    const env: Env = { clock: this.#clock(), random, log: SILENT }
    this.candidate = new Candidate({ env, transport: this.#transport(), namespace: NAMESPACE, name: 'operator', identity: name, ...times })
  }

  /** Runs as a process would. `work` defaults to waiting for the end of the term. */
  run(work: (leading: AbortSignal) => Promise<void> = aborted): void {
    const running = this.candidate.lead(this.end.signal, (leading) => {
      this.leading = leading
      this.leadsSinceMs = this.#world.monotonic()
      return work(leading)
    })
    void running.then((outcome) => (this.outcome = outcome))
  }

  /** As by SIGSTOP: its clock goes on, and it does nothing until it is resumed. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const wake of this.#asleep.splice(0)) wake()
  }

  /** As by SIGKILL. */
  kill(): void {
    this.isDead = true
    this.#isPaused = true
  }

  #awake(): Promise<void> {
    return this.#isPaused ? new Promise((resolve) => this.#asleep.push(() => resolve(this.#awake()))) : Promise.resolve()
  }

  #clock(): Clock {
    return {
      now: () => this.#world.now() + this.wallOffsetMs,
      monotonic: () => this.#world.monotonic() * this.#speed,
      after: (delayMs, run): Timer => {
        let isCancelled = false
        const timer = this.#world.after(delayMs / this.#speed, () => void this.#awake().then(() => isCancelled || run()))
        return {
          cancel: () => {
            isCancelled = true
            timer.cancel()
          },
        }
      },
    }
  }

  #transport(): Transport {
    return {
      request: async (request) => {
        this.requests.push(request)
        try {
          return await this.#carry(request)
        } finally {
          await this.#awake()
        }
      },
      watch: () => {
        throw new Error('nobody watches here')
      },
    }
  }

  async #carry(request: ApiRequest): Promise<ApiResponse> {
    const sentAtMs = this.#world.monotonic()
    await sleep(this.#world, this.#random.fraction() * this.lagMs)
    if (this.network === 'refused') throw new TransportError('connection refused')
    if (this.network === 'lost') return new Promise(() => {})
    // A deadline or an abort of the caller does not take back what is on its way.
    const response = await this.#inner.request({ ...request, signal: undefined } as ApiRequest)
    const isWrite = request.method !== 'GET'
    if (isWrite && this.pausesInNextWrite) {
      this.pausesInNextWrite = false
      this.pause()
    }
    await sleep(this.#world, this.#random.fraction() * this.lagMs)
    if (isWrite && this.network === 'up' && response.status < 300) this.lastWriteSentAtMs = sentAtMs
    return this.network === 'up' ? response : new Promise(() => {})
  }
}
