import { sleep, type Clock } from '../../src/env/clock.ts'
import type { Random } from '../../src/env/random.ts'
import type { Dial } from '../../src/gateway/env.ts'
import type { Unproven } from '../../src/gateway/upstream.ts'
import type { Exit, HostWatcher, PlacedPod, ProcessHost } from '../../src/local/kubelet/process-host.ts'
import type { Probe } from '../../src/operator/env.ts'

interface SimulatedAgent {
  podUID: string
  address: string
  /** Monotonic: from when its port answers. */
  listensAtMs: number
  exit: PromiseWithResolvers<Exit>
  alive: boolean
  /** Its address is free again. */
  hasLeft: boolean
}

/**
 * The edge of the virtual world: processes, their ports and their pings, without any machine. Everything above it (kubelet,
 * API server, operator, the gateway's decisions, activity store) is the shipped code.
 */
export class SimulatedHost implements ProcessHost {
  readonly agents = new Map<string, SimulatedAgent>()
  /** Every pod that was ever started, in order. */
  readonly started: string[] = []
  /** Sees pods before they end. */
  watcher: HostWatcher | undefined
  /** As a cluster's network does, and a laptop never: an address that was freed is the next pod's. */
  reusesAddresses = false
  /** What every proof comes to, whatever is true; `proven`: connections are not proven at all. */
  proofs: Unproven | 'proven' | undefined
  /** Connections that led to another pod, and were found out. */
  foundOut = 0
  /** Monotonic, of each dial. */
  readonly dialledAtMs: number[] = []
  /** Time that a pod takes until it is placed, and has an address. */
  prepareMs = 0
  /** Longest time that a ping takes. */
  pingMs = 3
  readonly #clock: Clock
  readonly #random: Random
  #addresses = 0
  readonly #free: string[] = []

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  async prepare(): Promise<{ ready: true }> {
    await sleep(this.#clock, this.prepareMs + this.#random.fraction() * 5)
    return { ready: true }
  }

  async start(pod: PlacedPod): Promise<{ pid: number }> {
    const listensAtMs = this.#clock.monotonic() + 20 + this.#random.fraction() * 200
    this.started.push(pod.uid)
    this.agents.set(pod.uid, {
      podUID: pod.uid,
      address: pod.address,
      listensAtMs,
      exit: Promise.withResolvers<Exit>(),
      alive: true,
      hasLeft: false,
    })
    return { pid: this.started.length }
  }

  exited(podUID: string): Promise<Exit> {
    return this.agents.get(podUID)?.exit.promise ?? Promise.resolve({ exitCode: 0 })
  }

  async signal(podUID: string): Promise<void> {
    await sleep(this.#clock, this.#random.fraction() * 30)
    const agent = this.agents.get(podUID)
    if (!agent?.alive) return
    this.watcher?.signalled(podUID, [1])
    agent.alive = false
    agent.exit.resolve({ exitCode: 143, signal: 15 })
  }

  async processes(podUID: string): Promise<number[]> {
    return this.agents.get(podUID)?.alive ? [1] : []
  }

  async violations(): Promise<[]> {
    return []
  }

  async cleanup(podUID: string): Promise<void> {
    const agent = this.agents.get(podUID)
    if (!this.reusesAddresses || agent === undefined || agent.hasLeft) return
    agent.hasLeft = true
    this.#free.push(agent.address)
  }
  async forget(): Promise<void> {}

  async leftovers(): Promise<string[]> {
    return []
  }

  async nextAddress(): Promise<string> {
    const freed = this.#free.shift()
    if (freed !== undefined) return freed
    this.#addresses += 1
    return `127.1.${this.#addresses >> 8}.${this.#addresses & 255}`
  }

  /** The pod that takes connections at the address now. */
  podAt(address: string): string | undefined {
    return this.#listening(address)?.podUID
  }

  isAlive(podUID: string): boolean {
    return this.agents.get(podUID)?.alive ?? false
  }

  #listening(address: string): SimulatedAgent | undefined {
    const now = this.#clock.monotonic()
    return [...this.agents.values()].find((agent) => agent.address === address && agent.alive && agent.listensAtMs <= now)
  }

  readonly probe: Probe = {
    ping: async (address) => {
      if (this.pingMs > 0) await sleep(this.#clock, this.#random.fraction() * this.pingMs)
      return this.#listening(address) ? { answer: 'Healthy' } : { answer: 'refused' }
    },
  }

  readonly dial: Dial = {
    connect: async ({ uid, address }) => {
      this.dialledAtMs.push(this.#clock.monotonic())
      await sleep(this.#clock, this.#random.fraction())
      const accepting = this.#listening(address)
      if (accepting === undefined) return 'refused'
      await sleep(this.#clock, this.#random.fraction()) // the proof
      if (this.proofs) return this.proofs === 'proven' ? 'connected' : this.proofs
      if (!accepting.alive) return 'noMeter'
      if (accepting.podUID === uid) return 'connected'
      this.foundOut += 1
      return 'otherPod'
    },
  }
}
